// Lists of Postal's mail: rows of the queue by state, and messages that left it, held or dead.
import { HeadwayError } from '../../../contract/errors.ts';
import type { JobsPage, JobsQuery, LocksPage, LocksQuery } from '../../../contract/queue-jobs.ts';
import type { PostalConnection } from '../../../contract/settings.ts';
import { escapeGrantPattern, grantSelect } from '../mysql-errors.ts';
import type { MysqlSession } from '../mysql-session.ts';
import {
  deliveryRow,
  idRow,
  listedRow,
  messageJob,
  messageRow,
  queuedJob,
  readCursor,
  writeCursor,
  type DeliveryRow,
} from './look-rows.ts';
import * as sql from './look-sql.ts';
import type { MessageDatabases } from './message-databases.ts';

export interface Look {
  index: string;
  messages: MessageDatabases;
  postal: PostalConnection['postal'];
}

/** Rejects with `bad-request` for a cursor or a server that cannot be one of Postal's. */
export async function jobsPage(
  session: MysqlSession,
  look: Look,
  query: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  const { list } = query;
  if (list === 'blocked') return empty('Postal’s mail waits for no other mail.');
  if (list === 'held' || list === 'dead') return messagesPage(session, look, query, signal);
  const { jobs, next } = await queuedPage(session, look, list, query, signal);
  return { jobs, next, note: null };
}

export async function locksPage(
  session: MysqlSession,
  look: Look,
  { tenantId, limit }: LocksQuery,
  signal: AbortSignal,
): Promise<LocksPage> {
  const { staleLockHours } = look.postal;
  const { jobs, next } = await queuedPage(session, look, 'running', { tenantId, limit, after: null }, signal);
  return {
    locks: jobs.map(({ id, tenantId: server, owner, startedAtMs, stale }) => ({
      jobId: id,
      tenantId: server,
      owner,
      lockedAtMs: startedAtMs,
      expiresAtMs: startedAtMs === null ? null : startedAtMs + staleLockHours * 3_600_000,
      beatAtMs: null,
      stale,
    })),
    rule: `A lock stands until its worker takes the row away. Rows that follow a leader in a batch share its time and may only be waiting. After ${staleLockHours} h Postal deletes a locked row, and its mail is lost.`,
    more: next !== null,
  };
}

async function queuedPage(
  session: MysqlSession,
  { index, postal }: Look,
  list: sql.QueueList,
  { tenantId, after, limit }: Pick<JobsQuery, 'tenantId' | 'after' | 'limit'>,
  signal: AbortSignal,
): Promise<Pick<JobsPage, 'jobs' | 'next'>> {
  const serverId = tenantId === null ? null : serverIdOf(tenantId);
  const place = readCursor(after);
  const rows = await session.rows(listedRow, sql.list(list, index, serverId, place, limit + 1), signal);
  const shown = rows.slice(0, limit);
  const staleAfterMs = postal.staleLockHours * 3_600_000;
  const last = shown.at(-1);
  const jobs = shown.map((row) => queuedJob(row, staleAfterMs));
  if (rows.length > limit && last) return { jobs, next: writeCursor(place.from, last.place, last.id) };
  const [end] = await session.rows(idRow, sql.windowEnd(index, serverId, place.from), signal);
  return { jobs, next: end === undefined ? null : writeCursor(end.id, null, 0) };
}

async function messagesPage(
  session: MysqlSession,
  { messages }: Look,
  { list, tenantId, after, limit }: JobsQuery,
  signal: AbortSignal,
): Promise<JobsPage> {
  if (tenantId === null) return empty('Choose a server: each keeps its messages in a database of its own.');
  const serverId = serverIdOf(tenantId);
  const database = messages.nameOf(serverId);
  const { from } = readCursor(after);
  const isHeld = list === 'held';
  try {
    const statement = isHeld
      ? sql.held(database, from, limit + 1)
      : sql.failed(database, from === 0 ? null : from, limit + 1);
    const rows = await session.rows(messageRow, statement, signal);
    const shown = rows.slice(0, limit);
    const attempts = await newestAttempts(session, database, shown, signal);
    const jobs = shown.map((row) => messageJob(serverId, row, attempts.get(row.id)));
    const last = shown.at(-1);
    if (rows.length > limit && last) return { jobs, next: writeCursor(last.id, null, 0), note: null };
    if (isHeld) return { jobs, next: null, note: null };
    const [end] = await session.rows(idRow, sql.failedEnd(database, from === 0 ? null : from), signal);
    return { jobs, next: end === undefined ? null : writeCursor(end.id, null, 0), note: null };
  } catch (error) {
    const note = unreadable(error, database, session);
    if (note === null) throw error;
    return empty(note);
  }
}

/** At most so many attempts are read for the errors of one page. */
const ATTEMPTS = 2_000;

async function newestAttempts(
  session: MysqlSession,
  database: string,
  messages: readonly { id: number }[],
  signal: AbortSignal,
): Promise<Map<number, DeliveryRow>> {
  if (messages.length === 0) return new Map();
  const ids = messages.map(({ id }) => id);
  const rows = await session.rows(deliveryRow, sql.deliveries(database, ids, ATTEMPTS), signal);
  // Newest first: the oldest are written first and overwritten.
  return new Map(rows.reverse().map((row) => [row.message_id, row]));
}

/** Why a message database cannot be read, and what to do; null when that is not what failed. */
export function unreadable(error: unknown, database: string, session: MysqlSession): string | null {
  if (!(error instanceof HeadwayError)) return null;
  if (!['schema-mismatch', 'grant-missing', 'database-unknown'].includes(error.code)) return null;
  const grant = grantSelect(escapeGrantPattern(database), session.server.account);
  return `Message database ${database} is missing or may not be read. An administrator runs: ${grant}`;
}

const empty = (note: string): JobsPage => ({ jobs: [], next: null, note });

export function serverIdOf(tenantId: string): number {
  if (/^\d{1,10}$/.test(tenantId)) return Number(tenantId);
  throw new HeadwayError('bad-request', `"${tenantId}" is not the id of a Postal server, which is a number.`);
}
