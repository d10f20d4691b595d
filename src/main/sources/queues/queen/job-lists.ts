// Lists of Queen's messages: what waits, what leases hold, what is dead; and the leases themselves.
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import {
  ERROR_CHARS,
  type JobsPage,
  type JobsQuery,
  type LocksPage,
  type LocksQuery,
  type QueueJob,
} from '../../../../contract/queue-jobs.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import * as sql from './look-sql.ts';
import { jobRow, leaseRow, type JobRow } from './rows.ts';
import { LAST_MESSAGE, NO_MESSAGE, PARKED_BY, type Dialect } from './schema-sql.ts';
import { partitionOf, tenantIdOf } from './tenant-id.ts';

type State = 'ready' | 'delayed' | 'running' | 'dead' | 'done';
const words: Record<State, string> = {
  ready: 'pending',
  delayed: 'delayed',
  running: 'leased',
  dead: 'dead letter',
  done: 'consumed',
};

/** Rejects with `bad-request` for a cursor or a partition that cannot be one of Queen's. */
export async function jobsPage(
  session: PostgresSession,
  dialect: Dialect,
  query: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const { list, limit } = query;
  if (list === 'held')
    return empty('Queen holds no messages back; those of a paused partition are listed as ready.');
  if (list === 'blocked')
    return empty('Messages behind a lease of their partition are listed as ready: they wait for its batch.');
  if (list === 'dead' && !dialect.hasDeadLetters)
    return empty(
      'The dead letters cannot be read here: the table is missing or this account may not read it.',
    );
  const statement = { ready: waitingOf, delayed: waitingOf, running: runningOf, dead: deadOf }[list];
  const rows = await statement(dialect, query, limit + 1)(session, signal);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    jobs: shown.map((row) => jobOf(row, list)),
    next: rows.length > limit && last ? JSON.stringify([list, ...last.place]) : null,
    note: null,
  };
}

type Run = (session: PostgresSession, signal: AbortSignal) => Promise<JobRow[]>;
type Statement = (dialect: Dialect, query: JobsQuery, limit: number) => Run;

const BEFORE_ALL = '-infinity';
const time = z.iso.datetime();
const id = z.guid();
export const waitingPlace = z.tuple([time, id, z.string()]);

const waitingOf: Statement = (dialect, query, limit) => {
  const list = query.list === 'delayed' ? 'delayed' : 'ready';
  const place = placeOf(query, waitingPlace) ?? [BEFORE_ALL, NO_MESSAGE, ''];
  return run(sql.waiting(dialect, list), [...scopeOf(query.tenantId), ...place, limit]);
};

const runningOf: Statement = (dialect, query, limit) => {
  const place = placeOf(query, z.tuple([time, id, time, id])) ?? [
    BEFORE_ALL,
    NO_MESSAGE,
    BEFORE_ALL,
    NO_MESSAGE,
  ];
  return run(sql.running(dialect), [...scopeOf(query.tenantId), ...place, limit]);
};

const deadOf: Statement = (dialect, query, limit) => {
  const place = placeOf(query, z.tuple([time, id])) ?? ['infinity', LAST_MESSAGE];
  return run(sql.deadLetters(dialect), [...scopeOf(query.tenantId), ...place, limit, ERROR_CHARS]);
};

const run =
  (statement: string, parameters: readonly unknown[]): Run =>
  (session, signal) =>
    session.rows(jobRow, statement, signal, parameters);

/** Where the page begins: after the place that the one before it named. Null for the first. */
export function placeOf<P extends string[]>({ list, after }: JobsQuery, place: z.ZodType<P>): P | null {
  if (after === null) return null;
  let cursor: unknown;
  try {
    cursor = JSON.parse(after);
  } catch {
    cursor = null;
  }
  const [of, ...rest] = z.array(z.unknown()).catch([]).parse(cursor);
  const parsed = place.safeParse(rest);
  if (of === list && parsed.success) return parsed.data;
  throw new HeadwayError(
    'bad-request',
    `This is no place in the list ${list} of Queen. Begin with its first page.`,
  );
}

const scopeOf = (tenantId: string | null): [queue: string | null, partition: string | null] => {
  if (tenantId === null) return [null, null];
  const { queue, partition } = partitionOf(tenantId);
  return [queue, partition];
};

export const jobIdOf = (messageId: string, group: string): string => `${messageId}/${group}`;
/** A dead letter has an id of its own: the same message may die again after its group went back. */
export const DEAD_PREFIX = 'dead/';

export function jobOf(row: Omit<JobRow, 'place'>, state: State): QueueJob {
  return {
    id: state === 'dead' ? `${DEAD_PREFIX}${row.message_id}` : jobIdOf(row.message_id, row.consumer_group),
    tenantId: tenantIdOf(row.queue, row.partition),
    kind: row.task === '' ? null : row.task,
    state,
    stateWord: words[state],
    createdAtMs: row.created_at,
    readyAtMs: state === 'dead' || state === 'done' ? null : row.ready_at,
    startedAtMs: row.started_at,
    finishedAtMs: row.failed_at,
    attempts: row.attempts,
    // A batch is given back as often as the limit says, and fails for good the next time.
    maxAttempts: row.retry_limit === null ? null : row.retry_limit + 1,
    priority: row.priority,
    owner: row.worker_id,
    stale: false,
    error: row.error,
  };
}

const empty = (note: string): JobsPage => ({ jobs: [], next: null, note });

export async function locksPage(
  session: PostgresSession,
  dialect: Dialect,
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const rows = await session.rows(leaseRow, sql.leases(dialect), signal, [...scopeOf(tenantId), limit + 1]);
  return {
    locks: rows.slice(0, limit).map((row) => ({
      // A lease is of a partition and a group, and named by the first message that it holds.
      jobId: jobIdOf(row.message_id ?? row.partition_id, row.consumer_group),
      tenantId: tenantIdOf(row.queue, row.partition),
      owner: row.worker_id,
      lockedAtMs: row.acquired_at,
      expiresAtMs: row.expires_at,
      beatAtMs: null,
      stale: !row.live,
    })),
    rule: `A pop leases a whole partition to one consumer group, with a batch of messages. A lease that ran out holds nothing: the next pop takes its messages again. One by ${PARKED_BY}… is a pause of Headway's.`,
    more: rows.length > limit,
  };
}
