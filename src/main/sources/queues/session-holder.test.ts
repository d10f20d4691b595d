import { expect, test } from 'vitest';
import type { QueueReader, QueueSession } from './queue-reader.ts';
import { SessionHolder } from './session-holder.ts';

const never = new AbortController().signal;

/** A holder of sessions that only know whether they are open, and a clock that is moved by hand. */
function fixture(restMs: number | null) {
  const open = new Set<number>();
  let opened = 0;
  const timers = new Set<{ atMs: number; work: () => void }>();
  let nowMs = 0;
  const holder = new SessionHolder<QueueSession>(
    {
      open: () => {
        const number = ++opened;
        open.add(number);
        return Promise.resolve({
          lost: false,
          [Symbol.asyncDispose]: () => {
            open.delete(number);
            return Promise.resolve();
          },
        });
      },
      // Nothing of it is asked here.
      inspect: () => Promise.resolve({} as QueueReader<QueueSession>),
      after: (delayMs, work) => {
        const timer = { atMs: nowMs + delayMs, work };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    },
    1_000,
    restMs,
  );
  const look = (work: () => Promise<unknown> = () => Promise.resolve()) => holder.call(never, work);
  const pass = async (ms: number) => {
    nowMs += ms;
    for (const timer of timers) {
      if (timer.atMs > nowMs) continue;
      timers.delete(timer);
      timer.work();
    }
    await new Promise((resolve) => setTimeout(resolve));
  };
  return { holder, open, timers, look, pass, opened: () => opened };
}

test('a session is closed a minute after the last look, not the first', async () => {
  const { open, look, pass, opened } = fixture(60_000);
  await look();
  await pass(59_000);
  await look();
  await pass(59_000);
  expect(open.size).toBe(1);
  await pass(1_000);
  expect(open.size).toBe(0);
  await look();
  expect([open.size, opened()]).toEqual([1, 2]);
});

test('a long look is not cut off, and its minute begins when it ends', async () => {
  const { open, look, pass } = fixture(60_000);
  await look();
  const long = Promise.withResolvers<undefined>();
  const looking = look(() => long.promise);
  await pass(600_000);
  expect(open.size).toBe(1);
  long.resolve(undefined);
  await looking;
  await pass(59_999);
  expect(open.size).toBe(1);
  await pass(1);
  expect(open.size).toBe(0);
});

test('a failed look rests too; one that comes as the session closes gets another', async () => {
  const { open, look, pass } = fixture(60_000);
  await expect(look(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  const closing = pass(60_000);
  const next = look(() => Promise.resolve(open.size));
  expect(await next).toBe(1);
  await closing;
  expect(open.size).toBe(1);
});

test('polls keep their session, and nothing is left to wait for after the end', async () => {
  const polls = fixture(null);
  await polls.look();
  await polls.pass(3_600_000);
  expect(polls.open.size).toBe(1);
  const looks = fixture(60_000);
  await looks.look();
  await looks.holder[Symbol.asyncDispose]();
  expect([looks.open.size, looks.timers.size]).toEqual([0, 0]);
});
