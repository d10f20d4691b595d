// The databases beside the made-up queues: one in trouble, with a chain of lock waits, and one that needs a vacuum.
import type { DatabaseHealth, IndexAdvice, RunningStatement } from '../../../src/contract/database-health.ts';

const MINUTE = 60_000;
/** Ages that grow while one looks. */
const since = (startedAtMs: number, baseMs: number, nowMs: number): number => baseMs + (nowMs - startedAtMs);

function statement(changes: Partial<RunningStatement>): RunningStatement {
  return {
    sessionId: '4711',
    user: 'postal',
    client: '10.0.3.14',
    application: null,
    state: 'Query',
    forMs: 0,
    text: '',
    ...changes,
  };
}

export function mariaDbHealth(startedAtMs: number, nowMs: number): DatabaseHealth {
  const forMs = (base: number): number => since(startedAtMs, base, nowMs);
  const claim =
    'UPDATE `queued_messages` SET `locked_by` = ?, `locked_at` = ? WHERE (ip_address_id = ? OR ip_address_id IS NULL) AND `locked_by` IS NULL AND `locked_at` IS NULL AND (retry_after IS NULL OR retry_after < ?) LIMIT 1';
  const report = statement({
    sessionId: '9213',
    user: 'reports',
    client: '10.0.3.90',
    state: 'Sleep, transaction open',
    forMs: forMs(4 * MINUTE),
    text: 'SELECT * FROM queued_messages WHERE server_id = ? FOR UPDATE',
  });
  const first = statement({ sessionId: '881', forMs: forMs(41_000), text: claim });
  const second = statement({ sessionId: '882', forMs: forMs(12_000), client: '10.0.3.15', text: claim });
  return {
    atMs: nowMs,
    server: 'MariaDB 10.11.14',
    connections: { used: 139, max: 151 },
    cacheHitRatio: 0.9991,
    lockWaits: [
      { waiting: first, blockedBy: [report], on: 'a row of queued_messages (PRIMARY)' },
      { waiting: second, blockedBy: [first], on: 'a row of queued_messages (PRIMARY)' },
    ],
    slow: [first, second].map((one) => ({ ...one })),
    deadRows: null,
    horizon: null,
    historyListLength: 412_003,
    replicas: [{ name: '10.0.4.2:3306', state: 'Waiting for master to send event', lagMs: 1_000 }],
    notes: ['Figures of single tables need SELECT on performance_schema: not granted to headway.'],
    findings: [
      {
        severity: 'critical',
        text: 'Session 9213 of reports has kept a transaction open for over 4 min and blocks 2 workers: ask its owner to end it, or KILL 9213.',
      },
      {
        severity: 'warning',
        text: '139 of 151 connections are open: raise max_connections or lower the pools of the workers.',
      },
      {
        severity: 'warning',
        text: 'InnoDB keeps 412,003 changes for old snapshots: reads of the queue become slower until session 9213 ends.',
      },
    ],
    costMs: 8.4,
  };
}

export function postgresHealth(startedAtMs: number, nowMs: number): DatabaseHealth {
  return {
    atMs: nowMs,
    server: 'PostgreSQL 15.18',
    connections: { used: 42, max: 200 },
    cacheHitRatio: 0.984,
    lockWaits: [],
    slow: [
      statement({
        sessionId: '20117',
        user: 'boss',
        application: 'pgboss',
        client: '10.0.5.7',
        state: 'active',
        forMs: since(startedAtMs, 6_200, nowMs) % 15_000,
        text: 'DELETE FROM pgboss.job_common WHERE completed_on + deletion_seconds * interval ? < now() AND name = ANY($1)',
      }),
    ],
    deadRows: [
      { table: 'pgboss.job_common', live: 1_204_331, dead: 684_120, lastVacuumAtMs: nowMs - 9_400_000 },
      { table: 'pgboss.queue', live: 34, dead: 210, lastVacuumAtMs: nowMs - 41_000 },
      { table: 'pgboss.schedule', live: 6, dead: 0, lastVacuumAtMs: null },
    ],
    horizon: {
      transactions: 48_211,
      heldBy: 'session 18220 of metabase, idle in transaction',
      heldForMs: since(startedAtMs, 52 * MINUTE, nowMs),
    },
    historyListLength: null,
    replicas: [
      { name: 'replica-1', state: 'streaming', lagMs: 40 },
      { name: 'replica-2', state: 'catchup', lagMs: 14_200 },
    ],
    notes: ['Statements of other users are hidden: GRANT pg_read_all_stats TO headway shows them.'],
    findings: [
      {
        severity: 'warning',
        text: '36 % of pgboss.job_common is dead rows and vacuum cannot remove them: session 18220 of metabase has held a snapshot for 52 min. End it.',
      },
    ],
    costMs: 21,
  };
}

export const mariaDbAdvice: IndexAdvice = {
  missing: [],
  examined: [
    {
      name: "Postal's claim",
      sql: 'UPDATE queued_messages SET locked_by = ?, locked_at = ?\nWHERE (ip_address_id = 1 OR ip_address_id IS NULL) AND locked_by IS NULL AND locked_at IS NULL\n  AND (retry_after IS NULL OR retry_after < UTC_TIMESTAMP()) LIMIT 1',
      plan: 'id  select_type  table            type   key      rows    Extra\n1   SIMPLE       queued_messages  index  PRIMARY  9841    Using where',
      rows: 9_841,
      problem: null,
    },
    {
      name: "Headway's poll: servers with mail",
      sql: 'SELECT server_id, MIN(id), MAX(id) FROM queued_messages GROUP BY server_id',
      plan: 'id  select_type  table            type   key                                rows  Extra\n1   SIMPLE       queued_messages  range  index_queued_messages_on_server_id  42    Using index for group-by',
      rows: 42,
      problem: null,
    },
  ],
};

export const postgresAdvice: IndexAdvice = {
  missing: [
    {
      table: 'pgboss.job_common',
      ddl: "CREATE INDEX CONCURRENTLY job_common_failed_idx\n  ON pgboss.job_common (name, completed_on DESC)\n  WHERE state = 'failed'",
      why: "Headway's list of dead jobs reads every completed job of a queue to find the failed ones.",
      rowsNow: 1_204_331,
      rowsThen: 101,
      sizeBytes: 1_800_000,
      cost: 'one entry for each job that fails; about 4 s to build',
    },
  ],
  examined: [
    {
      name: "pg-boss's fetch",
      sql: "SELECT id FROM pgboss.job_common WHERE name = 'invoices' AND state < 'active' AND start_after <= now()\nORDER BY priority DESC, created_on, id LIMIT 1 FOR UPDATE SKIP LOCKED",
      plan: 'Limit  (cost=0.42..1.08 rows=1 width=22)\n  ->  LockRows  (cost=0.42..642.91 rows=978 width=22)\n        ->  Index Scan using job_common_i5 on job_common  (cost=0.42..633.13 rows=978 width=22)',
      rows: 978,
      problem: null,
    },
    {
      name: "Headway's list of dead jobs",
      sql: "SELECT * FROM pgboss.job_common WHERE name = 'invoices' AND state = 'failed'\nORDER BY completed_on DESC, id LIMIT 101",
      plan: 'Limit  (cost=61043.12..61054.90 rows=101 width=840)\n  ->  Gather Merge  (cost=61043.12..61301.44 rows=2214 width=840)\n        ->  Sort  (cost=60043.10..60045.87 rows=1107 width=840)\n              ->  Parallel Seq Scan on job_common  (cost=0.00..59987.11 rows=1107 width=840)',
      rows: 1_204_331,
      problem: null,
    },
    {
      name: "Headway's locks",
      sql: "SELECT id, name, started_on FROM pgboss.job_common WHERE state = 'active' ORDER BY started_on LIMIT 101",
      plan: null,
      rows: null,
      problem: 'permission denied for table job_common',
    },
  ],
};
