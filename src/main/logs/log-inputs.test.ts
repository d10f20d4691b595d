import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { dockerCarrier } from './docker-input.ts';
import { FileInput } from './file-input.ts';
import { JournalInput } from './journal-input.ts';
import type { InputReader } from './log-input.ts';
import { exitCode, quote } from './remote-script.ts';
import { StampedInput } from './stamped-input.ts';

/** What a reader makes of some output, as words: `line`, `gap: …`, `[resumed exact]`. */
function read(reader: InputReader, output: string): string[] {
  return [...reader.read(Buffer.from(output), 0)].map((event) => {
    if (event.kind === 'resumed') return event.exact ? '[resumed]' : '[resumed, not exact]';
    if (event.kind !== 'line') return `[${event.kind}]`;
    return event.line.kind === 'line' ? event.line.text : `${event.line.kind}: ${event.line.text}`;
  });
}

const data = (inode: number, offset: number, text: string) => `D ${inode} ${offset} ${text.length}\n${text}`;
const argumentsOf = (reader: InputReader) => reader.begin().command.split(' ').slice(4);

describe('quote', () => {
  it('brings any argument through a shell unchanged', () => {
    const hostile = `a b'c"d$(id)\`id\`\\;&|<>*?~!#\n'`;
    expect(execFileSync('sh', ['-c', `printf %s ${quote(hostile)}`], { encoding: 'utf8' })).toBe(hostile);
  });
});

describe('FileInput', () => {
  it('begins in the middle at a line boundary, and asks to go on with the bytes that prove its place', () => {
    const file = new FileInput('/log');
    expect(argumentsOf(file).slice(0, 3)).toEqual([`'/log'`, `''`, `'tail'`]);
    expect(read(file, `O 7 100 120\n${data(7, 100, 'half\nwhole\nunfin')}`)).toEqual(['[resumed]', 'whole']);
    expect(argumentsOf(file).slice(0, 3)).toEqual([`'/log'`, `'7'`, `'100'`]);
    expect(read(file, `O 7 100 130\n${data(7, 100, 'half\nwhole\nunfinished\n')}`)).toEqual([
      '[resumed]',
      'unfinished',
    ]);
  });

  it('counts what came of a frame that was cut', () => {
    const file = new FileInput('/log');
    file.begin();
    expect(read(file, 'O 7 0 1000\nD 7 0 1000\none\ntw')).toEqual(['[resumed]', 'one']);
    expect(argumentsOf(file).slice(1, 3)).toEqual([`'7'`, `'0'`]);
    expect(read(file, `O 7 0 8\n${data(7, 0, 'one\ntwo\n')}`)).toEqual(['[resumed]', 'two']);
  });

  it('reads a file from its beginning when what came before its place is not what it was', () => {
    const file = new FileInput('/log');
    file.begin();
    read(file, `O 7 0 4\n${data(7, 0, 'one\n')}`);
    file.begin();
    expect(read(file, `O 7 0 8\n${data(7, 0, 'uno\ndue\n')}`)).toEqual([
      expect.stringContaining('gap: /log holds other lines'),
      '[restart]',
    ]);
    expect(argumentsOf(file).slice(1, 3)).toEqual([`'7'`, `'0'`]);
    expect(read(file, `O 7 0 8\n${data(7, 0, 'uno\ndue\n')}`)).toEqual([
      '[resumed, not exact]',
      'uno',
      'due',
    ]);
  });

  it('marks what is left out and what is lost, and goes on at the next whole line', () => {
    const file = new FileInput('/log');
    file.begin();
    read(file, `O 7 0 4\n${data(7, 0, 'one\n')}`);
    file.begin();
    expect(read(file, `S 2097152\nO 7 2097156 2097200\n${data(7, 2_097_156, 'mid\nnext\n')}`)).toEqual([
      'gap: 2.0 MB of /log were left out: too much to catch up with.',
      '[resumed, not exact]',
      'next',
    ]);
    file.begin();
    expect(read(file, `L 7\nW\nO 8 0 4\n${data(8, 0, 'new\n')}`)).toEqual([
      expect.stringContaining('gap: /log was rotated away'),
      '[waiting]',
      '[resumed, not exact]',
      'new',
    ]);
  });

  it('ends the last line of a rotated file, and begins anew when the file shrank while it was read', () => {
    const file = new FileInput('/log');
    file.begin();
    expect(read(file, `O 7 0 3\n${data(7, 0, 'one')}O 8 0 4\n${data(8, 0, 'two\n')}`)).toEqual([
      '[resumed]',
      'one',
      'two',
    ]);
    expect(file.ended({ code: exitCode.changed, stderr: '' }, 'h')).toMatchObject({
      state: 'live',
      error: null,
    });
    expect(file.ended({ code: 1, stderr: 'This account is expired' }, 'h').error?.message).toContain(
      'expired',
    );
  });
});

describe('DockerInput', () => {
  const stamp = (second: number) => `2026-01-09T12:34:${String(second).padStart(2, '0')}.000000000Z`;

  it('leaves out what it knows, equal lines and lines out of order included', () => {
    const docker = new StampedInput(dockerCarrier('postal'));
    expect(docker.begin().command).toContain(`'--tail' '500'`);
    const first = `${stamp(2)} same\n${stamp(2)} same\n${stamp(1)} late\n`;
    expect(read(docker, first)).toEqual(['[resumed]', 'same', 'same', 'late']);
    expect(docker.begin().command).toContain(`'--since' '${stamp(1)}'`);
    expect(read(docker, `${first}${stamp(2)} same\n${stamp(3)} new\n`)).toEqual(['[resumed]', 'same', 'new']);
  });

  it("takes what has no timestamp for the client's own complaint", () => {
    const docker = new StampedInput(dockerCarrier('postal'));
    docker.begin();
    expect(
      read(docker, 'Error response from daemon: configured logging driver does not support reading\n'),
    ).toEqual(['[resumed]']);
    const end = docker.ended({ code: 1, stderr: '' }, 'worker-1');
    expect(end.error?.message).toContain('does not support reading');
    expect(
      docker.ended({ code: 1, stderr: 'permission denied … docker.sock' }, 'h').error?.message,
    ).toContain('group');
  });
});

describe('JournalInput', () => {
  it('reads messages that are text, bytes, several lines, or too large', () => {
    const journal = new JournalInput('postal.service');
    journal.begin();
    const entry = (cursor: string, MESSAGE: unknown, PRIORITY = '6') =>
      `${JSON.stringify({ __CURSOR: cursor, __REALTIME_TIMESTAMP: '1767962096000000', MESSAGE, PRIORITY })}\n`;
    const output =
      entry('a', 'plain') +
      'no json\n' +
      entry('b', [255, 104, 105]) +
      entry('c', 'one\ntwo', '3') +
      entry('d', null);
    const lines = [...journal.read(Buffer.from(output), 0)].flatMap((event) =>
      event.kind === 'line' ? [event.line] : [],
    );
    expect(lines.map((line) => line.text)).toEqual([
      'plain',
      '\ufffdhi',
      'one',
      'two',
      '[message left out by the journal]',
    ]);
    expect(lines[0]).toMatchObject({ atMs: 1_767_962_096_000, level: 'info' });
    expect(lines[2]?.level).toBe('error');
    expect(journal.begin().command).toContain(`'--no-tail' '--cursor=d'`);
  });
});
