import { describe, expect, it } from 'vitest';
import { inertText, LineSplitter, MAX_LINE_BYTES, MAX_TEXT_LENGTH } from './line-splitter.ts';

const split = (chunks: Iterable<Buffer>) => {
  const splitter = new LineSplitter();
  const lines = [...chunks].flatMap((chunk) => [...splitter.push(chunk)]);
  return { lines, rest: splitter.flush() };
};

describe('LineSplitter', () => {
  it('yields the same lines for every split of the bytes, also within a character', () => {
    const bytes = Buffer.from('plain\nZürich → 日本 🚚\r\n\n\0nul\0\nunfinished ü');
    const expected = { lines: ['plain', 'Zürich → 日本 🚚', '', '\0nul\0'], rest: 'unfinished ü' };
    for (let size = 1; size <= bytes.length; size += 1) {
      const chunks = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      expect(split(chunks)).toEqual(expected);
    }
  });

  it('cuts a line over 1 MB, says so, and goes on with the next', () => {
    const chunk = Buffer.alloc(65_536, 'x');
    const chunks = [...Array.from({ length: 40 }, () => chunk), Buffer.from('\nnext\n')];
    const { lines, rest } = split(chunks);
    expect(lines[0]?.length).toBeLessThan(MAX_LINE_BYTES + 100);
    expect(lines[0]).toContain(`[cut, ${40 * 65_536 - MAX_LINE_BYTES} more bytes]`);
    expect(lines[1]).toBe('next');
    expect(rest).toBeNull();
  });

  it('survives bytes that are no UTF-8', () => {
    expect(split([Buffer.from([0xff, 0xfe, 0x41, 0x0a])]).lines).toEqual(['\ufffd\ufffdA']);
  });
});

describe('inertText', () => {
  it('leaves no terminal escape and no control character', () => {
    const hostile =
      '\u001b[31mred\u001b[0m \u001b]0;title\u0007a\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\ \u009b1mb\u0000\u0008c\u202ed\te';
    expect(inertText(hostile)).toBe('red alink bcd\te');
  });

  it('cuts what is too long for a window, and never through a character', () => {
    expect(inertText('x'.repeat(MAX_TEXT_LENGTH))).toHaveLength(MAX_TEXT_LENGTH);
    expect(inertText('x'.repeat(20_000))).toContain(`[cut, ${20_000 - MAX_TEXT_LENGTH} more characters]`);
    expect(inertText('ab🚚cd', 3)).toMatch(/^ab … /);
  });
});
