// Waiting for what other processes do, by looking again and again.
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until something holds; fails loudly with what was awaited (words, or what gives them then). */
export async function until(
  holds: () => boolean | Promise<boolean>,
  awaited: string | (() => string) = 'the condition did not come true',
  timeoutMs = 15_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      const words = typeof awaited === 'string' ? awaited : awaited();
      throw new Error(`after ${timeoutMs} ms: ${words}`);
    }
    await sleep(20);
  }
}
