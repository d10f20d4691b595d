// The shapes of the rows that the polls of Solid Queue yield, parsed where they arrive. Times are epoch ms of the database's clock.
import { z } from 'zod';

const time = z.number().nullable();

/** A queue as its jobs name it. `key`: what the database takes for the same name. */
export const queueRow = z.object({ key: z.string(), name: z.string() });
export type QueueRow = z.infer<typeof queueRow>;

/** Ready jobs of one queue and priority are in one range of the claim's index: a lane. */
export const laneRow = z.object({ name: z.string(), priority: z.number() });
export type LaneRow = z.infer<typeof laneRow>;

const parts = [
  'lane',
  'first',
  'horizon',
  'scheduled',
  'blocked',
  'running',
  'failed',
  'pause',
  'process',
  'finish',
] as const;

/**
 * What one part of a poll says of one queue (poll-sql.ts). `jobs`: how many were seen. The other columns, by part:
 * - lane: `at` the earliest moment of readiness, `created_at` of that job, `last_at` creation of the last one where there may be more;
 * - first: where one of the rows that became ready first is earlier than all that the queue's lanes show, `at` and `created_at` of it;
 * - horizon: of all those rows, `last_at` when the last one became ready;
 * - scheduled: `marked` those that are due, `at` and `created_at` of the first of them, `last_at` of the last;
 * - running: `marked` stale ones, `at` the earliest start of the others, `last_at` the latest start;
 * - pause: `last_at` since when;
 * - process: `queue` its kind, `text` its metadata, `marked` whether it has gone silent, `last_at` its last heartbeat;
 * - finish: `last_at` the newest.
 */
export const partRow = z.object({
  part: z.enum(parts),
  key: z.string().nullable(),
  queue: z.string().nullable(),
  jobs: z.number(),
  marked: z.number(),
  at: time,
  created_at: time,
  last_at: time,
  text: z.string().nullable(),
});
export type PartRow = z.infer<typeof partRow>;

export const clockRow = z.object({ now: z.number() });
export const anyRow = z.unknown();
