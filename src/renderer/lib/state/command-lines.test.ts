import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commandLines, commandOf, shellHabit } from './command-lines.ts';

describe('a command in lines', () => {
  it('is one argument a line, blanks and all', () => {
    expect(commandOf('/opt/sync.py\n--name\nnorth wind\n\n')).toEqual([
      '/opt/sync.py',
      '--name',
      'north wind',
    ]);
    expect(commandLines(['/opt/sync.py', 'north wind'])).toBe('/opt/sync.py\nnorth wind');
  });

  it('comes back as it was, whatever stands in it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' })), (command) => {
        expect(commandOf(commandLines(command))).toEqual(command);
      }),
    );
    const awkward = ['', 'two\nlines', '"quoted"', ' blank', '\r'];
    expect(commandOf(commandLines(awkward))).toEqual(awkward);
  });

  it('warns of the habits of a shell', () => {
    expect(shellHabit(['sync.py --all'])).toContain('One line is one argument');
    expect(shellHabit(['cat', 'a', '|', 'wc'])).toContain('“|”');
    expect(shellHabit(['/opt/my tools/sync', '--all'])).toBeNull();
    expect(shellHabit(['sync'])).toBeNull();
  });
});
