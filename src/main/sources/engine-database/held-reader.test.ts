import { describe, expect, it, vi } from 'vitest';
import { HeldReader } from './held-reader.ts';
import type { StoreReader } from './store-reader.ts';

const never = new AbortController().signal;

/** Readers that say when they were closed, and whether two calls were ever under way at once. */
function readers() {
  const counts = { opened: 0, closed: 0 };
  const open = (): Promise<StoreReader> => {
    counts.opened += 1;
    const reader: unknown = {
      [Symbol.asyncDispose]: () => {
        counts.closed += 1;
        return Promise.resolve();
      },
    };
    // Nothing else is asked of it here.
    return Promise.resolve(reader as StoreReader);
  };
  return { counts, open };
}

describe('HeldReader', () => {
  it('lets calls wait for one another, over one reader', async () => {
    const { counts, open } = readers();
    await using held = new HeldReader(open);
    const order: string[] = [];
    const first = Promise.withResolvers<undefined>();
    const calls = [
      held.call(never, () => {
        order.push('first begins');
        return first.promise.then(() => order.push('first ends'));
      }),
      held.call(never, () => Promise.resolve(order.push('second'))),
    ];
    first.resolve(undefined);
    await Promise.all(calls);
    expect(order).toEqual(['first begins', 'first ends', 'second']);
    expect(counts).toEqual({ opened: 1, closed: 0 });
  });

  it('gives up a call that hangs, and asks a new reader next', async () => {
    const { counts, open } = readers();
    await using held = new HeldReader(open, 5);
    const hanging = held.call(never, () => new Promise(() => undefined));
    await expect(hanging).rejects.toMatchObject({ code: 'timeout', retryable: true });
    expect(await held.call(never, () => Promise.resolve(1))).toBe(1);
    expect(counts).toEqual({ opened: 2, closed: 1 });
  });

  it('ends what is under way or waits when it is disposed, and opens nothing afterwards', async () => {
    const { counts, open } = readers();
    const held = new HeldReader(open);
    const running = held.call(never, () => new Promise(() => undefined));
    const waiting = held.call(never, () => Promise.resolve(1));
    const ended = Promise.all(
      [running, waiting].map((call) => expect(call).rejects.toMatchObject({ code: 'cancelled' })),
    );
    await vi.waitFor(() => expect(counts.opened).toBe(1));
    await held[Symbol.asyncDispose]();
    await ended;
    await expect(held.call(never, () => Promise.resolve(1))).rejects.toMatchObject({ code: 'cancelled' });
    expect(counts).toEqual({ opened: 1, closed: 1 });
  });
});
