// Time as the engine sees it: injected, so that a test plays minutes in milliseconds.
import { setImmediate as afterInput } from 'node:timers/promises';

export interface Clock {
  /** Epoch ms. */
  now(): number;
  /** Calls `fire` once after `ms`; the function returned takes it back. */
  after(ms: number, fire: () => void): () => void;
  /** Resolves when whatever else waits (timers, messages) has had its turn. */
  breathe(): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, fire) => {
    const timer = setTimeout(fire, ms);
    return () => clearTimeout(timer);
  },
  breathe: () => afterInput(),
};

/** Waits `ms`; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = (): void => {
      takeBack();
      reject(signal.reason as Error);
    };
    const takeBack = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
