import { describe, expect, it } from 'vitest';
import { NdjsonLines } from './ndjson-lines.ts';

describe('NdjsonLines', () => {
  it('finds the same lines however the bytes are cut', () => {
    const text = '{"a":"é📦"}\n\n{"b":2}\r\n{"c":3}';
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size++) {
      const lines = new NdjsonLines(100);
      const found: string[] = [];
      for (let from = 0; from < bytes.length; from += size)
        found.push(...lines.push(bytes.subarray(from, from + size)));
      found.push(...lines.end());
      expect(found).toEqual(['{"a":"é📦"}', '{"b":2}', '{"c":3}']);
    }
  });

  it('gives up on a line that never ends, as soon as it is too long', () => {
    const lines = new NdjsonLines(10);
    lines.push(Buffer.from('123456'));
    expect(() => lines.push(Buffer.from('78901'))).toThrow(RangeError);
  });

  it('refuses bytes that are no text', () => {
    expect(() => new NdjsonLines(10).push(Buffer.from([0x22, 0xff, 0x0a]))).toThrow(TypeError);
  });
});
