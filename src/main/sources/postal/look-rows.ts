// Rows of Postal's tables as jobs, and back from a cursor to its place.
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import { ERROR_CHARS, type QueueJob } from '../../../contract/queue-jobs.ts';
import { readyAtMs, rowState } from './heads.ts';
import { queuedMessageRow, queuedRow } from './rows.ts';

/** Attempts after which Postal gives a message up. */
const MAX_ATTEMPTS = 18;
/** DECIMAL arrives as text; epoch seconds. */
const seconds = z.coerce
  .number()
  .nullable()
  .transform((at) => (at === null ? null : at * 1000));

export const jobRow = queuedMessageRow.extend({
  message_id: z.number().nullable(),
  domain: z.string().nullable(),
  attempts: z.number().nullable(),
  now: z.date(),
});
export type JobRow = z.infer<typeof jobRow>;
export const listedRow = jobRow.extend({ place: z.string() });
export const idRow = z.object({ id: z.number() });
export const messageRow = z.object({
  id: z.number(),
  status: z.string().nullable(),
  held: z.number().nullable(),
  timestamp: seconds,
  last_delivery_attempt: seconds,
});
export type MessageRow = z.infer<typeof messageRow>;
export const deliveryRow = z.object({
  id: z.number(),
  message_id: z.number(),
  status: z.string().nullable(),
  code: z.number().nullable(),
  output: z.string().nullable(),
  details: z.string().nullable(),
  timestamp: seconds,
});
export type DeliveryRow = z.infer<typeof deliveryRow>;
export const wholeRow = z.record(z.string(), z.unknown());

export function queuedJob(row: JobRow, staleAfterMs: number): QueueJob {
  const nowMs = row.now.getTime();
  const judged = queuedRow(row, nowMs);
  const state = rowState(judged, { nowMs, staleAfterMs });
  const words = { ready: 'queued', delayed: 'waiting for its retry', running: 'locked', stale: 'locked' };
  return {
    id: String(row.id),
    tenantId: String(row.server_id),
    kind: null,
    state: state === 'stale' ? 'running' : state,
    stateWord: words[state],
    createdAtMs: row.created_at?.getTime() ?? null,
    readyAtMs: readyAtMs(judged),
    startedAtMs: row.locked_at?.getTime() ?? null,
    finishedAtMs: null,
    attempts: row.attempts,
    maxAttempts: MAX_ATTEMPTS,
    priority: null,
    owner: row.locked_by,
    stale: state === 'stale',
    error: null,
  };
}

/** A message that has no row in the queue; `last` is its newest attempt. */
export function messageJob(serverId: number, row: MessageRow, last: DeliveryRow | undefined): QueueJob {
  const isHeld = row.held === 1;
  return {
    id: `${serverId}/${row.id}`,
    tenantId: String(serverId),
    kind: null,
    state: isHeld ? 'held' : row.status === 'HardFail' ? 'dead' : 'done',
    stateWord: isHeld ? 'Held' : (row.status ?? ''),
    createdAtMs: row.timestamp,
    readyAtMs: null,
    startedAtMs: null,
    finishedAtMs: row.last_delivery_attempt,
    attempts: null,
    maxAttempts: MAX_ATTEMPTS,
    priority: null,
    owner: null,
    stale: false,
    error: last === undefined ? null : said(last),
  };
}

/** What the other server answered, with Postal's own words before it. */
export const said = ({ details, output }: DeliveryRow): string | null => {
  const text = [details, output].filter((part) => part !== null && part !== '').join(' ');
  return text === '' ? null : text.slice(0, ERROR_CHARS);
};

const cursor = z.tuple([z.int().nonnegative(), z.string().nullable(), z.int().nonnegative()]);

/** Rejects a cursor of another source with `bad-request`. */
export function readCursor(after: string | null): { from: number; key: string | null; id: number } {
  if (after === null) return { from: 0, key: null, id: 0 };
  try {
    const [from, key, id] = cursor.parse(JSON.parse(after));
    return { from, key, id };
  } catch (cause) {
    throw new HeadwayError(
      'bad-request',
      'This page cannot be continued: its cursor is not of this list. Begin anew.',
      {
        cause,
      },
    );
  }
}
export const writeCursor = (from: number, key: string | null, id: number): string =>
  JSON.stringify([from, key, id]);
