// One mail's page: its row of the queue, or its message where it has left the queue, with the attempts so far.
import type { QueueJobDetail } from '../../../contract/queue-jobs.ts';
import type { MysqlSession } from '../mysql-session.ts';
import { serverIdOf, unreadable, type Look } from './job-lists.ts';
import {
  deliveryRow,
  jobRow,
  messageJob,
  messageRow,
  queuedJob,
  said,
  wholeRow,
  type DeliveryRow,
} from './look-rows.ts';
import * as sql from './look-sql.ts';

/** Attempts shown. */
const ATTEMPTS = 50;

/** `id`: that of the queue's row, or "server/message" for one that left the queue. */
export async function jobDetail(
  session: MysqlSession,
  look: Look,
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  const [first = '', second] = id.split('/');
  if (second !== undefined) return messageDetail(session, look, serverIdOf(first), second, signal);
  if (!/^\d{1,10}$/.test(id)) return null;
  const [row] = await session.rows(wholeRow, sql.queued(Number(id)), signal);
  if (row === undefined) return null;
  const { headway_now: now, ...columns } = row;
  const queued = jobRow.parse({ ...columns, now });
  const { attempts, note } =
    queued.message_id === null
      ? { attempts: [], note: null }
      : await attemptsOf(session, look.messages.nameOf(queued.server_id), queued.message_id, signal);
  const error = attempts[0] === undefined ? null : said(attempts[0]);
  return {
    job: { ...queuedJob(queued, look.postal.staleLockHours * 3_600_000), error },
    fields: [...fieldsOf(columns), ...(note === null ? [] : [{ name: 'attempts so far', value: note }])],
    payload: null,
    attempts: attempts.map(attempt),
  };
}

async function messageDetail(
  session: MysqlSession,
  look: Look,
  serverId: number,
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  if (!/^\d{1,10}$/.test(id)) return null;
  const database = look.messages.nameOf(serverId);
  const [row] = await session.rows(wholeRow, sql.message(database, Number(id)), signal);
  if (row === undefined) return null;
  const { headway_now: _, ...columns } = row;
  const { attempts } = await attemptsOf(session, database, Number(id), signal);
  return {
    job: messageJob(serverId, messageRow.parse(columns), attempts[0]),
    fields: fieldsOf(columns),
    payload: null,
    attempts: attempts.map(attempt),
  };
}

async function attemptsOf(
  session: MysqlSession,
  database: string,
  messageId: number,
  signal: AbortSignal,
): Promise<{ attempts: DeliveryRow[]; note: string | null }> {
  try {
    const attempts = await session.rows(deliveryRow, sql.deliveries(database, [messageId], ATTEMPTS), signal);
    return { attempts, note: null };
  } catch (error) {
    const note = unreadable(error, database, session);
    if (note === null) throw error;
    return { attempts: [], note };
  }
}

const attempt = (row: DeliveryRow): QueueJobDetail['attempts'][number] => ({
  attempt: null,
  atMs: row.timestamp,
  error: [row.status, said(row)].filter((part) => part !== null).join(': ') || null,
  owner: null,
});

const fieldsOf = (row: Record<string, unknown>): QueueJobDetail['fields'] =>
  Object.entries(row).map(([name, value]) => ({ name, value: textOf(value) }));

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'string' ? value : JSON.stringify(value);
}
