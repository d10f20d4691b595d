// What an engine is made of and set to: the seam between the engine, those who embed it and those who fill it.
import type { EngineSettings, JobKind } from '../../contract/job-kinds.ts';
import type { Clock } from './clock.ts';
import type { Store } from './stores/store.ts';
import type { Attempt } from './workers/attempt.ts';
import type { Handler } from './workers/handler.ts';

/** A kind with what does its work. The policy is what the settings say of it, but for the handler. */
export interface EngineKind {
  policy: Omit<JobKind, 'handler'>;
  handler: Handler;
}

export interface EngineParts {
  /** Stays the caller's: stop the engine, then dispose of it. */
  store: Store;
  /** Local time; the engine adds what the store's clock is ahead. */
  clock: Clock;
  /** Names this engine among all that share the store. */
  owner: string;
  /** Like Math.random: jitter. */
  random: () => number;
  /** This process, bytes; the engine asks now and then. */
  memory: () => { rssBytes: number; limitBytes: number };
  /** Every attempt that counts, after the store has taken its end. */
  onAttempt: (attempt: Attempt) => void;
  /** Something failed that is no job's fault; the engine goes on by itself. */
  onProblem: (problem: Error) => void;
}

/** May change while it runs. */
export type EngineTuning = Pick<EngineSettings, 'workers' | 'order' | 'tenants'>;
