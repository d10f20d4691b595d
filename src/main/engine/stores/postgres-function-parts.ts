// What the functions of the PostgreSQL store have in common.

/**
 * The gate: whoever only ends and makes claims or enqueues shares it; whoever stops claims or rearranges jobs that
 * depend on each other has it alone. An advisory lock, because a lock that is only remembered writes nothing.
 */
export const gate = (schema: string, how: 'shared' | 'alone'): string =>
  `pg_advisory_xact_lock${how === 'shared' ? '_shared' : ''}(1214539601, '${schema}.job'::regclass::oid::int)`;

/** The planner has never seen these tables full when it plans; it is told to walk the indexes. */
export const BY_INDEX =
  'SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off';

/** Of `job`. */
export const JOB_COLUMNS = `id, tenant_id, kind, rank, ready_at, created_at, attempts, max_attempts, batch_id, failed, payload`;
