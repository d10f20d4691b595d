// One job's page: its row, and what it waits for.
import type { QueueJobDetail } from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { detailRow, fieldsOf, parentRow, queueJob, readJobId } from './look-rows.ts';
import * as sql from './look-sql.ts';
import { queueRow } from './rows.ts';
import { queues as queuesSql, type Dialect } from './sql.ts';

/** Jobs waited for that are named. */
const PARENTS = 20;

/** `id`: "queue/uuid", or the uuid alone. Null where there is no such job in a queue of pg-boss's users. */
export async function jobDetail(
  session: PostgresSession,
  dialect: Dialect,
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  const parsed = readJobId(id);
  if (parsed === null) return null;
  const queues = (await session.rows(queueRow, queuesSql(dialect), signal, [dialect.schema])).filter(
    ({ name }) => parsed.name === null || name === parsed.name,
  );
  for (const [table, members] of Map.groupBy(queues, ({ read_table }) => read_table)) {
    const names = members.map(({ name }) => name);
    const [row] = await session.rows(detailRow, sql.job(dialect, table, names, parsed.uuid), signal);
    if (row === undefined) continue;
    const job = queueJob(row);
    const waitsFor =
      job.state === 'blocked' && dialect.tellsParents
        ? await session.rows(parentRow, sql.parents(dialect, row.name, row.id, PARENTS), signal)
        : [];
    return {
      job,
      fields: [
        ...fieldsOf(sql.fieldNames(dialect), row.fields),
        ...(waitsFor.length === 0
          ? []
          : [{ name: 'waits for', value: waitsFor.map(({ parent }) => parent).join(', ') }]),
      ],
      payload: row.payload === null ? null : shownPayload(row.payload, []),
      // pg-boss keeps the output of the last attempt alone.
      attempts: [],
    };
  }
  return null;
}
