// One job of Solid Queue, whole: its row, its place, and the attempts before it.
import { z } from 'zod';
import type { QueueJobDetail } from '../../../../contract/queue-jobs.ts';
import { shownPayload } from '../../../../core/shown-payload.ts';
import { errorText, jobRow, queueJob } from './look-rows.ts';
import * as sql from './look-sql.ts';
import type { SqlSession } from './statements.ts';
import { PREFIX, type Relation } from './tables.ts';

const wholeRow = z.record(z.string(), z.string().nullable());
const earlierRow = z.object({ at_ms: z.number().nullable(), error: z.string().nullable() });

const PLACES = ['ready', 'scheduled', 'claimed', 'blocked', 'failed'] as const;
const PAYLOAD = 'arguments';

export async function jobDetail(
  session: SqlSession,
  { relations, ...look }: sql.Look & { relations: readonly Relation[] },
  id: string,
  signal: AbortSignal,
): Promise<QueueJobDetail | null> {
  if (!/^\d{1,18}$/.test(id)) return null;
  const { dialect } = look;
  const columnsOf = (table: string) =>
    (relations.find(({ name }) => name === `${PREFIX}${table}`)?.columns ?? []).filter(
      (name) => name !== PAYLOAD,
    );
  const [row] = await session.rows(wholeRow, sql.whole(dialect, columnsOf('jobs'), id), signal);
  if (row === undefined) return null;
  const { headway_payload: payload = null, ...own } = row;
  const fields = Object.entries(own).map(([name, value]) => ({ name, value }));
  let [found] = await session.rows(jobRow, sql.unplaced(dialect, id), signal);
  for (const place of PLACES) {
    const [there] = await session.rows(jobRow, sql.placed(look, place, id), signal);
    if (there === undefined) continue;
    found = there;
    const table = `${place}_executions`;
    const [execution] = await session.rows(
      wholeRow,
      sql.wholePlace(dialect, place, columnsOf(table), id),
      signal,
    );
    for (const [name, value] of Object.entries(execution ?? {}))
      fields.push({ name: `${table}.${name}`, value });
  }
  // Deleted in the meantime.
  if (found === undefined) return null;
  const earlier = await session.rows(earlierRow, sql.earlier(dialect, id), signal);
  const allEarlier = earlier.length < sql.ATTEMPTS;
  return {
    job: queueJob(found),
    fields,
    payload: payload === null ? null : shownPayload(payload, []),
    attempts: earlier.map(({ at_ms: atMs, error }, i) => ({
      attempt: allEarlier ? earlier.length - i : null,
      atMs,
      error: errorText(error),
      owner: null,
    })),
  };
}
