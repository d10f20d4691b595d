// What the pool and a thread of job modules say to each other.
import { z } from 'zod';
import type { HandlerJob } from '../handler.ts';

export interface ModuleThreadData {
  /** Absolute path of the module. */
  file: string;
  export: string;
}

export type ToThread =
  | { t: 'run'; job: HandlerJob }
  /** The job's time is up, or the engine stops. */
  | { t: 'abort'; reason: string };

export const fromThreadSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('loaded') }),
  z.object({ t: z.literal('unloadable'), message: z.string() }),
  /** A stage begins and ends; `id` tells it from others of its name. */
  z.object({ t: z.literal('stage'), id: z.int(), name: z.string() }),
  z.object({ t: z.literal('staged'), id: z.int() }),
  z.object({ t: z.literal('progress'), done: z.number(), note: z.string().nullable() }),
  /** Each second of a job: memory of the thread, and the p99 of its event-loop delay in that second. */
  z.object({ t: z.literal('beat'), heapBytes: z.number(), loopDelayMs: z.number() }),
  z.object({ t: z.literal('done') }),
  z.object({
    t: z.literal('failed'),
    name: z.string(),
    message: z.string(),
    stack: z.string().nullable(),
    code: z.string().nullable(),
    /** Of HTTP, as clients put it on their errors. */
    status: z.number().nullable(),
    /** What the module said of it by `class` and `retryAfterMs` on what it threw. */
    class: z.string().nullable(),
    retryAfterMs: z.number().nonnegative().nullable(),
  }),
]);
export type FromThread = z.infer<typeof fromThreadSchema>;
