import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { LineOutput } from './line-output.ts';

/** A reader that takes what it gets when it is let. */
function reader() {
  const taken: string[] = [];
  let pending: (() => void) | null = null;
  const stream = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      taken.push(text);
      pending = done;
    },
  });
  const take = () => {
    pending?.();
    pending = null;
  };
  return { stream, taken, take };
}

describe('LineOutput', () => {
  it('gathers lines and keeps their order', async () => {
    const { stream, taken, take } = reader();
    const out = new LineOutput(stream, 1_000_000);
    for (let i = 0; i < 10_000; i++) {
      out.write(`line ${i}\n`);
      take();
    }
    const ended = out[Symbol.asyncDispose]();
    const letting = setInterval(take, 1);
    await ended;
    clearInterval(letting);
    expect(taken.join('')).toBe(Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`).join(''));
    expect(taken.length).toBeLessThan(10);
    expect(out.takeDropped()).toBe(0);
  });

  it('drops and counts what nobody takes, and ends all the same', async () => {
    const { stream } = reader();
    const out = new LineOutput(stream, 500_000);
    const line = `${'x'.repeat(999)}\n`;
    for (let i = 0; i < 2_000; i++) out.write(line);
    expect(out.takeDropped()).toBe(1_500);
    await out[Symbol.asyncDispose]();
    expect(stream.writableLength).toBeLessThanOrEqual(500_000);
  });

  it('writes no more when its reader is gone', async () => {
    const { stream, taken } = reader();
    const out = new LineOutput(stream, 500_000);
    stream.destroy(new Error('EPIPE'));
    await new Promise((resolve) => setTimeout(resolve));
    out.write('lost\n');
    await out[Symbol.asyncDispose]();
    expect([taken, out.takeDropped()]).toEqual([[], 1]);
  });
});
