// How statements that stop after a few rows are planned, whatever the statistics of a table promise.
import { z } from 'zod';
import type { PostgresSession } from '../postgres-session.ts';

const SETTINGS = `('jit', 'enable_sort', 'enable_bitmapscan', 'enable_seqscan')`;

/**
 * For a session: a statement of many small parts would be compiled for longer than it runs, and where the statistics are
 * wrong a plan would sort all jobs of a queue instead of reading the first by the index.
 */
export const planByIndex = `
  SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ${SETTINGS}`;
/** As the session began. */
const planAsBefore = `
  SELECT set_config(name, reset_val, false) FROM pg_settings WHERE name IN ${SETTINGS}`;

/** Plans so for one look: the index advisor explains on the same session, as the server plans for others. */
export async function byIndex<T>(
  session: PostgresSession,
  signal: AbortSignal,
  look: () => Promise<T>,
): Promise<T> {
  await session.rows(z.unknown(), planByIndex, signal);
  try {
    return await look();
  } finally {
    if (!session.lost) await session.rows(z.unknown(), planAsBefore, signal);
  }
}
