// Lists of jobs, single jobs and claims of a system whose table has the index by state.
import { HeadwayError } from '../../../../contract/errors.ts';
import type {
  JobList,
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJob,
  QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import { z } from 'zod';
import type { PostgresSession } from '../../postgres-session.ts';
import * as sql from './look-sql.ts';
import { detailRow, jobRow, type JobRow } from './rows.ts';
import type { StateTable } from './state-table.ts';

/** Where a page ends: the list it belongs to, the time it is ordered by in the database's own writing, and the id. */
const cursorSchema = z.tuple([z.string(), z.string().refine(isTime), z.string().regex(/^\d{1,18}$/)]);

/** A time as PostgreSQL writes it in a session in UTC. */
function isTime(text: string): boolean {
  const parts = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,6})?(\+00)?$/.exec(text);
  if (parts === null) return text === 'infinity' || text === '-infinity';
  const at = new Date(`${parts[1] ?? ''}T${parts[2] ?? ''}Z`);
  // A 31st of February would be read as the 3rd of March.
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(parts[1] ?? '');
}

/** What a list says of itself. */
export interface ListNotes {
  /** Of lists that the system has no notion of. */
  absent: Partial<Record<JobList, string>>;
  /** Of lists that are there, but not as one may think. */
  present: Partial<Record<JobList, string>>;
}

export async function readJobs(
  session: PostgresSession,
  table: StateTable,
  notes: ListNotes,
  query: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const { list, tenantId, limit } = query;
  const statement = statementOf(table, list, tenantId === null);
  if (statement === null) return { jobs: [], next: null, note: notes.absent[list] ?? null };
  const [time, id] = placeAfter(query, statement.order);
  const rows = await session.rows(jobRow, statement.sql, signal, [time, id, limit + 1, ...ofQueue(tenantId)]);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const cutNote = rows.some(({ cut }) => cut)
    ? `No index leads to this order: the list is of the first ${sql.SORTED.toLocaleString('en')} jobs read.`
    : null;
  const said = [notes.present[list], cutNote].filter((note) => note !== undefined && note !== null);
  return {
    jobs: shown.map((row) => toJob(row, table)),
    next: rows.length > limit && last ? JSON.stringify([list, last.place, last.id]) : null,
    note: said.length === 0 ? null : said.join(' '),
  };
}

const ofQueue = (tenantId: string | null): string[] => (tenantId === null ? [] : [tenantId]);

function statementOf(
  table: StateTable,
  list: JobList,
  allQueues: boolean,
): { sql: string; order: 'ASC' | 'DESC' } | null {
  const { available, waiting, running, dead, blocked, held } = table.states;
  const ascending = (statement: string) => ({ sql: statement, order: 'ASC' as const });
  const descending = (statement: string) => ({ sql: statement, order: 'DESC' as const });
  switch (list) {
    case 'ready':
      return ascending(sql.byScheduledTime(table, [available, ...waiting], 'due', allQueues));
    case 'delayed':
      return ascending(
        sql.byScheduledTime(
          table,
          table.claimsDueOnly ? [available, ...waiting] : waiting,
          'later',
          allQueues,
        ),
      );
    case 'running':
      return ascending(sql.sorted(table, running, `coalesce(j.attempted_at, '-infinity')`, 'ASC', allQueues));
    case 'dead':
      return descending(
        allQueues && table.hasDiedIndex
          ? sql.deadByIndex(table)
          : sql.sorted(table, dead, `coalesce(j.${table.columns.diedAt}, '-infinity')`, 'DESC', allQueues),
      );
    case 'blocked':
      return blocked === null ? null : ascending(sql.byScheduledTime(table, [blocked], 'any', allQueues));
    case 'held':
      return held === null ? null : ascending(sql.byScheduledTime(table, [held], 'any', allQueues));
  }
}

function placeAfter({ list, after }: JobsQuery, order: 'ASC' | 'DESC'): [time: string, id: string] {
  if (after === null) return order === 'ASC' ? ['-infinity', '0'] : ['infinity', '9223372036854775807'];
  const cursor = cursorSchema.safeParse(jsonOf(after));
  if (!cursor.success || cursor.data[0] !== list) {
    throw new HeadwayError('bad-request', 'This place in a list is not one of this list. Begin it anew.');
  }
  return [cursor.data[1], cursor.data[2]];
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function toJob(row: JobRow, table: StateTable): QueueJob {
  return {
    id: row.id,
    tenantId: row.queue,
    kind: row.kind,
    state: stateOf(row, table),
    stateWord: row.state,
    createdAtMs: row.created_at,
    readyAtMs: row.ready_at,
    startedAtMs: row.attempted_at,
    finishedAtMs: row.ended_at,
    attempts: row.attempt,
    maxAttempts: row.max_attempts,
    priority: row.priority,
    owner: row.owner,
    stale: row.stale,
    error: row.error,
  };
}

/** A state that this Headway does not know is nobody's to claim: held. */
function stateOf(
  { state, due }: JobRow,
  { states, claimsDueOnly, doneWords }: StateTable,
): QueueJob['state'] {
  if (state === states.available) return due || !claimsDueOnly ? 'ready' : 'delayed';
  if (states.waiting.includes(state)) return due ? 'ready' : 'delayed';
  if (state === states.running) return 'running';
  if (state === states.dead) return 'dead';
  if (state === states.blocked) return 'blocked';
  return doneWords.includes(state) ? 'done' : 'held';
}

export async function readJob(
  session: PostgresSession,
  table: StateTable,
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  // What is no bigint is no job.
  if (!/^\d{1,18}$/.test(id)) return null;
  const [row] = await session.rows(detailRow, sql.job(table), signal, [id]);
  if (row === undefined) return null;
  return {
    job: toJob(row, table),
    fields: row.fields.map(({ name, type, value }) => ({ name, value: shownField(type, value) })),
    payload: row.args === null ? null : shownPayload(row.args, []),
    attempts: row.errors.map(({ attempt, at, error }) => ({
      attempt: attempt !== null && /^\d{1,9}$/.test(attempt) ? Number(attempt) : null,
      atMs: timeOf(at),
      error,
      owner: null,
    })),
  };
}

/** What a job carries beside its payload may hold secrets as well. */
function shownField(type: string, value: string | null): string | null {
  if (value === null) return null;
  const { text, shortened } = type.startsWith('json')
    ? shownPayload(value, [], sql.FIELD_CHARS)
    : { text: value.slice(0, sql.FIELD_CHARS), shortened: value.length > sql.FIELD_CHARS };
  return shortened ? `${text}…` : text;
}

/** The clients write ISO 8601, with a zone or in UTC without. */
function timeOf(text: string | null): number | null {
  if (text === null) return null;
  const at = Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);
  return Number.isNaN(at) ? null : at;
}

/** Claims are running jobs. `rule`: as the contract says; `isTakenBack`: whether the system surely takes stale ones back. */
export async function readLocks(
  session: PostgresSession,
  table: StateTable,
  { rule, isTakenBack }: { rule: string; isTakenBack: boolean },
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const statement = sql.sorted(
    table,
    table.states.running,
    `coalesce(j.attempted_at, '-infinity')`,
    'ASC',
    tenantId === null,
  );
  const rows = await session.rows(jobRow, statement, signal, [
    '-infinity',
    '0',
    limit + 1,
    ...ofQueue(tenantId),
  ]);
  return {
    locks: rows.slice(0, limit).map((row) => ({
      jobId: row.id,
      tenantId: row.queue,
      owner: row.owner,
      lockedAtMs: row.attempted_at,
      expiresAtMs: isTakenBack && row.attempted_at !== null ? row.attempted_at + table.staleAfterMs : null,
      beatAtMs: null,
      stale: row.stale,
    })),
    rule,
    more: rows.length > limit || rows.some(({ cut }) => cut),
  };
}
