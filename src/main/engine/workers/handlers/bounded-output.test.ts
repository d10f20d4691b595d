import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BoundedOutput, follow } from './bounded-output.ts';

const written = (
  keep: 'first' | 'last',
  limitBytes: number,
  ...chunks: (string | Buffer)[]
): BoundedOutput => {
  const output = new BoundedOutput(keep, limitBytes);
  for (const chunk of chunks) output.take(Buffer.from(chunk));
  return output;
};

describe('what a program writes', () => {
  it('is kept whole within the limit', () => {
    for (const keep of ['first', 'last'] as const) {
      const output = written(keep, 10, 'hello', 'world');
      expect(output.text()).toBe('helloworld');
      expect(output.overflown).toBe(false);
    }
  });

  it('is kept from the beginning or from the end, and counted', () => {
    expect(written('first', 7, 'hello', 'world', 'again').text()).toBe('hellowo');
    const last = written('last', 7, 'hello', 'world', 'again');
    expect(last.text()).toBe('ldagain');
    expect(last.text(3)).toBe('ain');
    expect([last.totalBytes, last.overflown]).toEqual([15, true]);
    expect(written('last', 4, 'a chunk longer than the limit').text()).toBe('imit');
  });

  it('never shows half a character at its beginning', () => {
    expect(written('last', 5, 'ääää').text()).toBe('ää');
    expect(written('last', 4, Buffer.from('x€€')).text()).toBe('€');
  });

  it('does not become a list of single bytes', () => {
    const output = new BoundedOutput('last', 100_000);
    for (let i = 0; i < 250_000; i++) output.take(Buffer.from([97 + (i % 26)]));
    expect(output.text()).toHaveLength(100_000);
    expect(output.totalBytes).toBe(250_000);
  });
});

it('reads a flood in gulps, and the timer between two is taken back', () => {
  const timers: (() => void)[] = [];
  let takenBack = 0;
  const clock = {
    now: () => 0,
    after: (_ms: number, fire: () => void) => {
      timers.push(fire);
      return () => (takenBack += 1);
    },
    breathe: () => Promise.resolve(),
  };
  const stream = new PassThrough();
  const stop = follow(stream, new BoundedOutput('last', 10), clock);
  stream.emit('data', Buffer.alloc(1024 * 1024));
  expect(stream.isPaused()).toBe(false);
  stream.emit('data', Buffer.alloc(4 * 1024 * 1024));
  expect(stream.isPaused()).toBe(true);
  timers[0]?.();
  expect(stream.isPaused()).toBe(false);
  stream.emit('data', Buffer.alloc(4 * 1024 * 1024));
  stop();
  expect(takenBack).toBe(1);
  expect(stream.destroyed).toBe(true);
});
