// Time as the monitor sees it, injected so that tests own it.
import { setTimeout as delay } from 'node:timers/promises';

export interface Clock {
  /** Epoch ms, local clock. */
  now: () => number;
  /** Resolves after `ms`; returns early (and quietly) when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  },
};
