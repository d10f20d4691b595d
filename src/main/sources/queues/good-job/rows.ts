// The shapes of the rows that the polls of GoodJob yield, parsed where they arrive. Times are epoch ms of the database's clock.
import { z } from 'zod';

const time = z.number().nullable();

export const queueRow = z.object({ name: z.string() });
export const clockRow = z.object({ now: z.number() });
export const anyRow = z.unknown();

/**
 * What one part of a poll says of one queue (poll-sql.ts). `jobs`: how many were seen. The other columns, by part:
 * - queues: `jobs` how many there are, `marked` whether all later jobs were seen;
 * - due: `marked` those that nobody holds, `at` since when the first of them is ready and `created_at` its creation, `last_at` the time
 *   of the last one seen; before 4.0 `held` those that are held, `start_at` and `started_at` the first and the last of their starts;
 * - unscheduled: likewise, of jobs without a time (before 4.0), which come in no order;
 * - later: nothing more;
 * - running: `marked` stale ones, `start_at` the first start of the others, `started_at` the last start;
 * - dead: `marked` those that are;
 * - pause: `queue` the queue, or null with `text` "job class …" or "label …";
 * - process: `marked` whether it lives, `last_at` its last sign of life, `text` its state as JSON;
 * - finish: `last_at` the newest.
 */
export const partRow = z.object({
  part: z.enum(['queues', 'due', 'unscheduled', 'later', 'running', 'dead', 'pause', 'process', 'finish']),
  queue: z.string().nullable(),
  jobs: z.number(),
  marked: z.number(),
  held: z.number(),
  at: time,
  created_at: time,
  last_at: time,
  start_at: time,
  started_at: time,
  text: z.string().nullable(),
});
export type PartRow = z.infer<typeof partRow>;
