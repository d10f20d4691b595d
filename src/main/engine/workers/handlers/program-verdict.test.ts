import { describe, expect, it } from 'vitest';
import { BoundedOutput } from './bounded-output.ts';
import { type Expected, failureWith, unreadable, verdictOn } from './program-verdict.ts';

type End = Parameters<typeof verdictOn>[0];

const output = (text: string, limitBytes = 1000): BoundedOutput => {
  const kept = new BoundedOutput('last', limitBytes);
  kept.take(Buffer.from(text));
  return kept;
};
const end = (how: object, { stdout = '', stderr = '' } = {}): End =>
  ({ ...how, stdout: output(stdout), stderr: output(stderr) }) as End;
const expected: Expected = {
  name: '"work"',
  successCodes: [0, 4],
  errorCodes: { permanent: [65], 'rate-limit': [75, 76] },
  output: 'json',
  memoryLimitBytes: 64 * 1024 * 1024,
  late: 'took longer than 5 s (scriptSeconds)',
  hide: (text) => text.replaceAll('hush', '[secret]'),
};
const verdict = (how: object, says = {}) => verdictOn(end(how, says), expected);

describe('the end of a program', () => {
  it('is success by its code', () => {
    expect(verdict({ how: 'exited', code: 0 })).toBeNull();
    expect(verdict({ how: 'exited', code: 4 })).toBeNull();
  });

  it.each([
    [{ how: 'exited', code: 1 }, 'transient', '"work" ended with code 1'],
    [{ how: 'exited', code: 65 }, 'permanent', '"work" ended with code 65'],
    [{ how: 'exited', code: 76 }, 'rate-limit', '"work" ended with code 76'],
    [{ how: 'killed', signal: 'SIGKILL' }, 'transient', '"work" was killed by SIGKILL'],
    [{ how: 'aborted' }, 'timeout', '"work" took longer than 5 s (scriptSeconds) and was ended'],
    [
      { how: 'flood' },
      'permanent',
      '"work" wrote more than 1 MB to standard output, where one JSON document is wanted',
    ],
    [
      { how: 'memory', bytes: 70_000_000 },
      'permanent',
      '"work" held 67 MB of memory, over its limit of 64 MB, and was ended',
    ],
  ])('%j is %s', (how, errorClass, message) => {
    expect(verdict(how)).toMatchObject({ class: errorClass, message, stderrTail: null });
  });

  it('is too much output also when the program was faster than its end', () => {
    const overflown = { ...end({ how: 'exited', code: 0 }), stdout: output('x'.repeat(2000)) };
    expect(verdictOn(overflown, expected)?.class).toBe('permanent');
    expect(verdictOn(overflown, { ...expected, output: 'anything' })).toBeNull();
  });
});

describe('its last words', () => {
  const says = (words: { stdout?: string; stderr?: string }) =>
    verdict({ how: 'exited', code: 1 }, words)?.message;

  it('are the last line of standard error, without colours; else of standard output', () => {
    expect(says({ stderr: 'first\n\u001b[31mlast\u001b[0m \n\n', stdout: 'out' })).toBe(
      '"work" ended with code 1: last',
    );
    expect(says({ stderr: ' \n', stdout: 'a\nout\n' })).toBe('"work" ended with code 1: out');
    expect(says({ stderr: `${'x'.repeat(300)}\n` })).toHaveLength('"work" ended with code 1: '.length + 200);
  });

  it('say what to do where a stream was opened by its name', () => {
    expect(says({ stderr: 'sh: 1: cannot create /dev/stderr: No such device or address' })).toContain(
      'write ">&2"',
    );
  });

  it('hide secrets, and keep 4 KB', () => {
    const error = failureWith(
      'transient',
      'hush said',
      { ...end({ how: 'aborted' }), stderr: output(`${'x'.repeat(5000)} hush`, 64_000) },
      expected.hide,
    );
    expect(error.message).toBe('[secret] said');
    expect(error.stderrTail).toMatch(/x \[secret\]$/);
    expect(error.stderrTail).toHaveLength(4096);
  });
});

describe('what it wrote', () => {
  const problem = (stdout: string) =>
    unreadable(end({ how: 'exited', code: 0 }, { stdout }), expected)?.message ?? null;

  it('is JSON, nothing, or neither', () => {
    expect(problem(' {"a": [1]}\n')).toBeNull();
    expect(problem(' \n')).toBe('"work" wrote nothing to standard output, where JSON is wanted');
    expect(problem('{"a": hush}')).toMatch(/^"work" wrote to standard output what is no JSON: /);
    expect(problem('{"a": hush}')).not.toContain('hush');
  });
});
