// The shapes of the rows that the statements of sql.ts yield, parsed where they arrive.
import { z } from 'zod';
import type { QueuedRow } from './heads.ts';

const time = z.date().transform((date) => date.getTime());
const flag = z.number().transform((value) => value !== 0);
/** DECIMAL and BIGINT arrive as text where they might not fit a number; ids and seconds do fit. */
const number = z.coerce.number();

export const columnRow = z.object({ table_name: z.string(), column_name: z.string() });
export const indexRow = z.object({ index_name: z.string() });
export const anyRow = z.unknown();

export const serverRow = z.object({
  id: z.number(),
  name: z.string().nullable(),
  permalink: z.string().nullable(),
  organization: z.string().nullable(),
  deleted: flag,
});
export const queueOwnerRow = z.object({ id: z.number(), deleted: flag, first_id: z.number().nullable() });
export const ownerRow = z.object({ id: z.number().nullable() });

/** Plain types only: ten thousand of these come with one poll, and a transformed field costs ten times a checked one. */
export const queuedMessageRow = z.object({
  id: z.number(),
  server_id: z.number(),
  locked_by: z.string().nullable(),
  locked_at: z.date().nullable(),
  retry_after: z.date().nullable(),
  created_at: z.date().nullable(),
});
export type QueuedMessageRow = z.infer<typeof queuedMessageRow>;

/** A row as its state is judged. Without a creation time, which Postal always writes, it counts as new. */
export function queuedRow(row: QueuedMessageRow, nowMs: number): QueuedRow {
  return {
    id: row.id,
    lockedBy: row.locked_by,
    lockedAtMs: row.locked_at?.getTime() ?? null,
    retryAfterMs: row.retry_after?.getTime() ?? null,
    createdAtMs: row.created_at?.getTime() ?? nowMs,
  };
}

/** A line of EXPLAIN; the one that joins a UNION's parts has neither id nor rows. */
export const explainRow = z.object({ id: number.nullable(), rows: number.nullable() });
export const clockRow = z.object({ now: time, leader_seen_at: time.nullable() });
export const databaseRow = z.object({ database_name: z.string() });
/** `last_delivery_at` in epoch seconds. */
export const totalsRow = z.object({
  server_id: z.number(),
  messages: number.nullable(),
  deliveries: number.nullable(),
  last_delivery_at: number.nullable(),
});
export type TotalsRow = z.infer<typeof totalsRow>;
export const statusRow = z.object({ Value: number });
export const statusTextRow = z.object({ Value: z.string() });
/** SHOW GRANTS names its one column after the account. */
export const grantRow = z.record(z.string(), z.string()).transform((row) => Object.values(row)[0] ?? '');
