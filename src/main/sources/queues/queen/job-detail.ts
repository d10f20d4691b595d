// One message's page, as it stands to one consumer group.
import { ERROR_CHARS, type QueueJobDetail } from '../../../../contract/queue-jobs.ts';
import { PAYLOAD_SHOWN_CHARS, shownPayload } from '../../../../core/shown-payload.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { DEAD_PREFIX, jobOf } from './job-lists.ts';
import * as sql from './look-sql.ts';
import { attemptRow, columnRow, deadLetterRow, detailRow } from './rows.ts';
import type { Dialect } from './schema-sql.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `id`: "message/consumer group", or "dead/" and the id of a dead letter. */
export async function jobDetail(
  session: PostgresSession,
  dialect: Dialect,
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  const delivery = await deliveryOf(session, dialect, id, signal);
  if (delivery === null) return null;
  const { messageId, group } = delivery;
  const detail = await deliveryDetail(
    session,
    { schema: dialect.schema, id, delivery, statement: (columns) => sql.detail(dialect, columns) },
    signal,
  );
  if (detail === null) return null;
  const failures = dialect.hasDeadLetters
    ? await session.rows(attemptRow, sql.failures(dialect), signal, [messageId, group, ERROR_CHARS])
    : [];
  return {
    ...detail,
    attempts: failures.map(({ failed_at, error }) => ({
      attempt: null,
      atMs: failed_at,
      error,
      owner: null,
    })),
  };
}

export interface Delivery {
  messageId: string;
  group: string;
}

/** The page of a message by a statement that takes the message, the group, and how much of the payload and of an error is read. */
export async function deliveryDetail(
  session: PostgresSession,
  wanted: {
    schema: string;
    id: string;
    delivery: Delivery;
    statement: (columns: readonly string[]) => string;
  },
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  const { schema, id, delivery, statement } = wanted;
  const columns = await session.rows(columnRow, sql.messageColumnNames, signal, [schema]);
  const [row] = await session.rows(detailRow, statement(columns.map(({ name }) => name)), signal, [
    ...[delivery.messageId, delivery.group],
    ...[PAYLOAD_SHOWN_CHARS + 1, ERROR_CHARS],
  ]);
  if (row === undefined) return null;
  return {
    job: { ...jobOf(row, row.state), id },
    fields: Object.entries(row.columns).map(([name, value]) => ({ name, value })),
    // Queen's servers keep the key of an encrypted one.
    payload: row.payload === null ? null : shownPayload(row.payload, []),
    attempts: [],
  };
}

/** From "message/consumer group"; a group's name may hold a slash. Null for what cannot be one. */
export function deliveryOfId(id: string): Delivery | null {
  const slash = id.indexOf('/');
  const messageId = id.slice(0, Math.max(0, slash));
  return UUID.test(messageId) ? { messageId, group: id.slice(slash + 1) } : null;
}

async function deliveryOf(
  session: PostgresSession,
  dialect: Dialect,
  id: string,
  signal: AbortSignal,
): Promise<Delivery | null> {
  if (id.startsWith(DEAD_PREFIX)) {
    const letter = id.slice(DEAD_PREFIX.length);
    if (!UUID.test(letter) || !dialect.hasDeadLetters) return null;
    const [row] = await session.rows(deadLetterRow, sql.deadLetter(dialect), signal, [letter]);
    return row === undefined ? null : { messageId: row.message_id, group: row.consumer_group };
  }
  return deliveryOfId(id);
}
