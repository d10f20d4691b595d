// The shapes of the rows that the statements yield, parsed where they arrive. Times are epoch ms of the database's clock.
import { z } from 'zod';

const count = z.int().nonnegative();
const time = z.number().nullable();

export const anyRow = z.unknown();
export const groupsRow = z.object({ groups: count });

/** One row of a poll. */
export const pollRow = z.discriminatedUnion('part', [
  z.object({ part: z.literal('clock'), data: z.object({ at: z.number(), groups: count }) }),
  /** Jobs of one state, queue and priority that wait for a worker or for their time. */
  z.object({
    part: z.literal('waiting'),
    data: z.object({
      state: z.string(),
      queue: z.string(),
      /** Jobs seen whose time has come; those that no claim takes are not among the ready. */
      due: count,
      ready: count,
      /** Whether these are all. */
      due_whole: z.boolean(),
      ready_at: time,
      created_at: time,
      /** The scheduled time of the last job seen: no unseen one was ready before. */
      seen_until: time,
      /** Jobs seen whose time has not come, and whether these are all. */
      later: count,
      later_whole: z.boolean(),
    }),
  }),
  z.object({
    part: z.literal('running'),
    data: z.object({
      queue: z.string(),
      entries: count,
      stale: count,
      /** Start of the oldest that is not stale. */
      oldest_at: time,
      newest_at: time,
      /** Of those that are not stale. */
      owners: z.array(z.string()),
    }),
  }),
  /** Dead, blocked and held jobs. */
  z.object({
    part: z.literal('kept'),
    data: z.object({ state: z.string(), queue: z.string(), entries: count }),
  }),
  z.object({ part: z.literal('ended'), data: z.object({ at: time }) }),
]);
export type PollRow = z.infer<typeof pollRow>;
export type PollPart<P extends PollRow['part']> = Extract<PollRow, { part: P }>['data'];

export const jobRow = z.object({
  id: z.string(),
  queue: z.string(),
  kind: z.string(),
  state: z.string(),
  /** Whether its scheduled time has come. */
  due: z.boolean(),
  created_at: time,
  ready_at: time,
  attempted_at: time,
  ended_at: time,
  attempt: z.int(),
  max_attempts: z.int(),
  priority: z.number(),
  owner: z.string().nullable(),
  stale: z.boolean(),
  error: z.string().nullable(),
  /** Its place in the list: the time it is ordered by, in the database's own writing. Null in a detail. */
  place: z.string().nullable(),
  /** Whether more rows were there than were sorted. */
  cut: z.boolean(),
});
export type JobRow = z.infer<typeof jobRow>;

export const detailRow = jobRow.extend({
  fields: z.array(z.object({ name: z.string(), type: z.string(), value: z.string().nullable() })),
  args: z.string().nullable(),
  errors: z.array(
    z.object({ attempt: z.string().nullable(), at: z.string().nullable(), error: z.string().nullable() }),
  ),
});
