// Lists of pg-boss's jobs by state, and the claims that stand: each by an index that exists, or a note that names the one
// that is missing.
import type { JobsPage, JobsQuery, LocksPage, LocksQuery } from '../../../../contract/queue-jobs.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { listedRow, queueJob, queueLock, readCursor, windowEndRow, writeCursor } from './look-rows.ts';
import * as sql from './look-sql.ts';
import { queueRow, type QueueRow } from './rows.ts';
import { queues as queuesSql, type Dialect } from './sql.ts';

/** Tables that a list of all queues reads. */
const TABLES_AT_MOST = 100;

/** Rejects with `bad-request` for a cursor of another list. */
export async function jobsPage(
  session: PostgresSession,
  dialect: Dialect,
  { list, tenantId, after, limit }: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  if (list === 'held')
    return empty(
      'pg-boss holds no jobs back. A cancelled one is done with, until its program or pg-boss’s resume() takes it back.',
    );
  if (list === 'blocked' && !dialect.jobColumns.has('blocked'))
    return empty('Jobs of this version of pg-boss wait for no others.');
  const { parts, unread, left } = await partsOf(session, dialect, list, tenantId, signal);
  const place = readCursor(list, after);
  if (tenantId !== null && parts.length + unread.length === 0)
    return empty(`There is no queue named ${tenantId}.`);
  const queues = parts.reduce((sum, { names }) => sum + names.length, 0);
  const size = sql.windowSize(queues);
  const rows =
    parts.length === 0
      ? []
      : await session.rows(
          listedRow,
          sql.list(dialect, list, parts, place, { size, limit: limit + 1 }),
          signal,
        );
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const [part] = parts;
  const isWindowed = parts.some(({ access }) => sql.isWindowed(access));
  const end =
    tenantId !== null && part && isWindowed
      ? ((
          await session.rows(windowEndRow, sql.windowEnd(dialect, list, part, place.from, size), signal)
        )[0] ?? null)
      : null;
  const next =
    rows.length > limit && last
      ? { from: place.from, after: [last.place, last.id, last.name] as const }
      : end && { from: end.place, after: null };
  const notes = [
    ...missingIndex(dialect, list, unread),
    ...windowNote({ list, tenantId, size, isWindowed, goesOn: end !== null || place.from.length > 0 }),
    ...(left === 0
      ? []
      : [`${left} further tables are not read: choose a queue to see the jobs of one of them.`]),
  ];
  return {
    jobs: shown.map(queueJob),
    next: next && writeCursor(list, next),
    note: notes.length === 0 ? null : notes.join(' '),
  };
}

export async function locksPage(
  session: PostgresSession,
  dialect: Dialect,
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const { parts, unread, left } = await partsOf(session, dialect, 'running', tenantId, signal);
  const place = { from: [], after: null };
  const rows =
    parts.length === 0
      ? []
      : await session.rows(
          listedRow,
          sql.list(dialect, 'running', parts, place, { size: 0, limit: limit + 1 }),
          signal,
        );
  return {
    locks: rows.slice(0, limit).map(queueLock),
    rule: [RULE, ...missingIndex(dialect, 'running', unread)].join(' '),
    more: rows.length > limit || left > 0,
  };
}

const RULE =
  'An active job is its worker’s until it ends, runs for longer than its expire_seconds, or misses its heartbeat where it has one; then pg-boss’s maintenance, in any process that supervises, retries it or fails it for good. pg-boss does not record which worker it is.';

interface Parts {
  parts: sql.Part[];
  /** Tables that no index leads through and that are too large to scan. */
  unread: string[];
  /** Tables beyond those that are read at once. */
  left: number;
}

async function partsOf(
  session: PostgresSession,
  dialect: Dialect,
  list: sql.BossList,
  tenantId: string | null,
  signal: AbortSignal,
): Promise<Parts> {
  const all = await session.rows(queueRow, queuesSql(dialect), signal, [dialect.schema]);
  const queues = tenantId === null ? all : all.filter(({ name }) => name === tenantId);
  const tables = [...Map.groupBy(queues, ({ jobs_table }) => jobs_table).entries()];
  const parts: sql.Part[] = [];
  const unread: string[] = [];
  for (const [table, members] of tables.slice(0, TABLES_AT_MOST)) {
    const [first] = members;
    if (!first) continue;
    const access = accessOf(dialect, list, first);
    if (access === null) unread.push(table);
    else parts.push({ table: first.read_table, access, names: members.map(({ name }) => name) });
  }
  return { parts, unread, left: Math.max(0, tables.length - TABLES_AT_MOST) };
}

/** Null where only a scan of a large table would tell. */
function accessOf(dialect: Dialect, list: sql.BossList, queue: QueueRow): sql.Access | null {
  const scan = queue.bearable ? 'scan' : null;
  if (list === 'running') return queue.by_start ? 'index' : scan;
  if (list === 'dead') return queue.by_failure ? 'index' : scan;
  if (list === 'blocked') return scan ?? (dialect.tellsParents ? 'parents' : null);
  return queue.by_claim ? 'claim' : queue.by_due ? 'due' : scan;
}

/** The columns and the condition of the index that leads to a list. */
export function indexFor(list: sql.BossList): { columns: readonly [string, string]; where: string } {
  if (list === 'running') return { columns: ['name', 'started_on'], where: `state = 'active'` };
  if (list === 'dead') return { columns: ['name', 'completed_on'], where: `state = 'failed'` };
  if (list === 'blocked') return { columns: ['name', 'created_on'], where: `state < 'active' AND blocked` };
  return { columns: ['name', 'start_after'], where: `state < 'active'` };
}

function missingIndex({ schema }: Dialect, list: sql.BossList, tables: readonly string[]): string[] {
  const [first] = tables;
  if (first === undefined) return [];
  if (list === 'blocked')
    return [
      `The blocked jobs of ${tables.join(', ')} are not listed: the table is large, and job_dependency, which leads to them, may not be read.`,
    ];
  const { columns, where } = indexFor(list);
  const more = tables.length > 1 ? `, and likewise on ${tables.slice(1).join(', ')}` : '';
  return [
    `A large table is not listed, as no index leads to these jobs. This one would: CREATE INDEX CONCURRENTLY ON ${quotePgName(schema)}.${quotePgName(first)} (${columns.join(', ')}) WHERE ${where}${more}.`,
  ];
}

const orders: Partial<Record<sql.BossList, string>> = {
  ready: 'the order of claims',
  delayed: 'the order of claims',
  blocked: 'the order of their ids',
};

function windowNote(look: {
  list: sql.BossList;
  tenantId: string | null;
  size: number;
  isWindowed: boolean;
  goesOn: boolean;
}): string[] {
  const { list, tenantId, size, isWindowed, goesOn } = look;
  if (!isWindowed) return [];
  const count = size.toLocaleString('en');
  const order = orders[list] ?? 'the order of the index';
  if (tenantId === null)
    return [
      `Of each queue the first ${count} waiting jobs in ${order} are looked at; choose a queue to see all.`,
    ];
  return goesOn ? [`Looked at ${count} waiting jobs at a time in ${order}, and sorted within those.`] : [];
}

const empty = (note: string): JobsPage => ({ jobs: [], next: null, note });
