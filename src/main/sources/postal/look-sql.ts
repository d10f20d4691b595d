// The statements of lists and of a job's page: asked by a person, on a session of their own. No index leads to a state,
// so a list looks through a window of rows by id and never further: its cost has a bound whatever the queue's length.
import { escape } from 'mysql2';
import { quoteName } from '../mysql-errors.ts';

/** Rows that one page looks through. */
export const WINDOW = 20_000;

const COLUMNS = 'id, server_id, message_id, domain, locked_by, locked_at, retry_after, created_at, attempts';

/** By state: the condition, and the moment that the list is ordered by. */
const LISTS = {
  ready: {
    where:
      'locked_by IS NULL AND locked_at IS NULL AND (retry_after IS NULL OR retry_after < UTC_TIMESTAMP(6))',
    key: 'GREATEST(created_at, COALESCE(retry_after, created_at))',
  },
  delayed: {
    where: 'locked_by IS NULL AND locked_at IS NULL AND retry_after >= UTC_TIMESTAMP(6)',
    key: 'CAST(retry_after AS DATETIME(6))',
  },
  running: {
    where: '(locked_by IS NOT NULL OR locked_at IS NOT NULL)',
    key: `COALESCE(locked_at, '1970-01-02')`,
  },
} as const;
export type QueueList = keyof typeof LISTS;

/** Where a page begins: after row `id` of the moment `key`, among the window's rows, which come after `from`. */
export interface Place {
  from: number;
  key: string | null;
  id: number;
}

const windowOf = (index: string, serverId: number | null, from: number): string =>
  serverId === null
    ? `queued_messages FORCE INDEX (PRIMARY) WHERE id > ${from} ORDER BY id LIMIT ${WINDOW}`
    : `queued_messages FORCE INDEX (${quoteName(index)}) WHERE server_id = ${serverId} AND id > ${from} ORDER BY id LIMIT ${WINDOW}`;

/**
 * Rows of one list. Walks: the index on server_id (or PRIMARY), at most WINDOW entries, each with its row; they are sorted in
 * memory. Ids and creation times grow together, so windows follow one another in the order of the list, all but retries.
 */
export function list(
  what: QueueList,
  index: string,
  serverId: number | null,
  { from, key, id }: Place,
  limit: number,
): string {
  const { where, key: order } = LISTS[what];
  const after = key === null ? '' : `\n   AND (${order}, id) > (${escape(key)}, ${id})`;
  return `
SELECT w.*, UTC_TIMESTAMP(6) AS now, CAST(${order} AS CHAR) AS place
  FROM (SELECT ${COLUMNS} FROM ${windowOf(index, serverId, from)}) w
 WHERE ${where}${after}
 ORDER BY ${order}, id
 LIMIT ${limit}`;
}

/** The last id of a window that is full; no row when it holds all there is. Walks: as `list`, entries only. */
export const windowEnd = (index: string, serverId: number | null, from: number): string =>
  `SELECT id FROM ${windowOf(index, serverId, from).replace(`LIMIT ${WINDOW}`, `LIMIT 1 OFFSET ${WINDOW - 1}`)}`;

/** One queued row, whole. Walks: PRIMARY. */
export const queued = (id: number): string =>
  `SELECT q.*, UTC_TIMESTAMP(6) AS headway_now FROM queued_messages q WHERE id = ${id}`;

const MESSAGE_COLUMNS = 'id, status, held, timestamp, last_delivery_attempt';

/** Held messages, oldest first. Walks: on_held, which ends with the primary key. */
export const held = (database: string, after: number, limit: number): string => `
SELECT ${MESSAGE_COLUMNS}, UTC_TIMESTAMP(6) AS now
  FROM ${quoteName(database)}.messages FORCE INDEX (on_held)
 WHERE held = 1 AND id > ${after}
 ORDER BY id
 LIMIT ${limit}`;

const newest = (database: string, before: number | null): string =>
  `${quoteName(database)}.messages FORCE INDEX (PRIMARY)${before === null ? '' : ` WHERE id < ${before}`} ORDER BY id DESC`;

/** Messages that failed for good, newest first. Walks: PRIMARY backwards, at most WINDOW rows. */
export const failed = (database: string, before: number | null, limit: number): string => `
SELECT w.*, UTC_TIMESTAMP(6) AS now
  FROM (SELECT ${MESSAGE_COLUMNS} FROM ${newest(database, before)} LIMIT ${WINDOW}) w
 WHERE status = 'HardFail'
 ORDER BY id DESC
 LIMIT ${limit}`;

/** The lowest id of a full window of messages. Walks: PRIMARY backwards, entries only. */
export const failedEnd = (database: string, before: number | null): string =>
  `SELECT id FROM ${newest(database, before)} LIMIT 1 OFFSET ${WINDOW - 1}`;

/** One message, whole. Walks: PRIMARY. */
export const message = (database: string, id: number): string =>
  `SELECT m.*, UTC_TIMESTAMP(6) AS headway_now FROM ${quoteName(database)}.messages m WHERE id = ${id}`;

/** The newest attempts of some messages. Walks: on_message_id of deliveries. */
export const deliveries = (database: string, messageIds: readonly number[], limit: number): string => `
SELECT id, message_id, status, code, output, details, timestamp
  FROM ${quoteName(database)}.deliveries FORCE INDEX (on_message_id)
 WHERE message_id IN (${messageIds.join(', ')})
 ORDER BY id DESC
 LIMIT ${limit}`;
