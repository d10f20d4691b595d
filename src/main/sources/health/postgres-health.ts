// How the PostgreSQL server beside a queue is doing, from its statistics views.
import { z } from 'zod';
import type { DatabaseHealth, RunningStatement } from '../../../contract/database-health.ts';
import type { PostgresSession } from '../postgres-session.ts';
import { healthFindings, type HealthFigures } from './health-findings.ts';
import { namedSession } from './named-session.ts';
import { NotedReads } from './noted-reads.ts';
import * as sql from './postgres-health-sql.ts';
import { shownStatement } from './shown-statement.ts';
import { relationRow, watchedRelations } from './watched-oids.ts';
import type { WatchedTables } from './watched-tables.ts';

const text = z.string().nullable();
const number = z.number().nullable();
const count = z.number().transform((value) => Math.max(0, Math.round(value)));
const serverRow = z.object({
  max: z.int(),
  reserved: z.int(),
  used: z.int(),
  hit: z.number(),
  missed: z.number(),
  account: z.string(),
  sees_all: z.boolean(),
});
const sessionRow = z.object({
  pid: z.string(),
  user: text,
  client: text,
  application: text,
  state: text,
  query: text,
  for_ms: number,
});
const waitRow = z.object({
  pid: z.string(),
  type: z.string(),
  blockers: z.array(z.string()),
  for_ms: number,
  table: text,
});
const deadRow = z.object({ table: z.string(), live: count, dead: count, vacuumed_ms: number });
const horizonRow = z.object({
  kind: z.enum(['session', 'prepared', 'slot', 'standby']),
  name: text,
  user: text,
  state: text,
  application: text,
  client: text,
  for_ms: number,
  transactions: count,
});
const replicaRow = z.object({ name: z.string(), state: z.string(), lag_ms: number });

/** Under so many reads a ratio says only that the server has just begun. */
const READS_THAT_TELL = 10_000;
/** A prepared transaction has no session; pg_blocking_pids gives it this number. */
const PREPARED = '0';

/**
 * Never fails for a figure that may not be read: it is null, and a note names the grant. `now`: local clock, epoch ms. Rejects when the
 * session does.
 */
export async function readPostgresHealth(
  session: PostgresSession,
  watched: WatchedTables,
  now: () => number,
  signal: AbortSignal,
): Promise<DatabaseHealth> {
  const atMs = now();
  const reads = new NotedReads();
  const server = await reads.read('The number of connections', null, () =>
    session.row(serverRow, sql.server, signal),
  );
  const seesAll = server?.sees_all === true;
  if (server !== null && !seesAll) {
    reads.note(
      `Statements, states and clients of other accounts are hidden. An administrator runs GRANT pg_monitor TO ${server.account}.`,
    );
  }
  const relations = await reads.read('The watched tables', [], () =>
    session.rows(relationRow, watchedRelations, signal, [watched.tables]),
  );
  const tables = [relations.filter(({ kind }) => kind === 'table').map(({ oid }) => oid)];
  const figures: HealthFigures = {
    connections: server && { used: server.used, max: server.max, reserved: server.reserved },
    cacheHitRatio: server && hitRatio(server),
    lockWaits: await reads.read('Lock waits', [], () => readLockWaits(session, signal)),
    slow: await reads.read('Slow statements', [], async () =>
      (await session.rows(sessionRow, sql.slow, signal, tables)).map(statementOf),
    ),
    deadRows: await reads.read('Dead rows', null, async () =>
      (await session.rows(deadRow, sql.deadRows, signal, tables)).map(
        ({ vacuumed_ms: lastVacuumAtMs, ...row }) => ({ ...row, lastVacuumAtMs }),
      ),
    ),
    horizon: await reads.read('What holds back vacuum', null, () => readHorizon(session, signal)),
    historyListLength: null,
    replicas: await reads.read('Replicas', null, async () => {
      const rows = await session.rows(replicaRow, sql.replicas, signal);
      // To others a replica is a number without a state.
      if (rows.some(({ name }) => name !== 'this server') && !seesAll) return null;
      return rows.map(({ name, state, lag_ms: lag }) => ({ name, state, lagMs: lag && Math.max(0, lag) }));
    }),
    oldestTransaction: null,
    endSession: (id) =>
      id === PREPARED
        ? 'ROLLBACK PREPARED or COMMIT PREPARED (pg_prepared_xacts lists it)'
        : `SELECT pg_terminate_backend(${id})`,
  };
  const { oldestTransaction: _oldest, endSession: _end, ...shown } = figures;
  return {
    ...shown,
    atMs,
    server: `PostgreSQL ${session.version}`,
    notes: reads.notes,
    findings: healthFindings(figures),
    costMs: Math.max(0, now() - atMs),
  };
}

function hitRatio({ hit, missed }: { hit: number; missed: number }): number | null {
  return hit + missed < READS_THAT_TELL ? null : hit / (hit + missed);
}

function statementOf(row: z.infer<typeof sessionRow>): RunningStatement {
  const { pid, user, client, application, state, query, for_ms: forMs } = row;
  const hidden = query === null || query === '<insufficient privilege>';
  return {
    sessionId: pid,
    user,
    client,
    application,
    state: state ?? 'unknown',
    forMs: Math.max(0, forMs ?? 0),
    text: hidden ? '' : shownStatement(query, 'postgres'),
  };
}

async function readLockWaits(
  session: PostgresSession,
  signal: AbortSignal,
): Promise<DatabaseHealth['lockWaits']> {
  const waits = await session.rows(waitRow, sql.lockWaits, signal);
  if (waits.length === 0) return [];
  const pids = [...new Set(waits.flatMap(({ pid, blockers }) => [pid, ...blockers]))];
  const rows = await session.rows(sessionRow, sql.sessions, signal, [pids]);
  const sessions = new Map(rows.map((row) => [row.pid, statementOf(row)]));
  return waits.flatMap(({ pid, blockers, for_ms: forMs, type, table }) => {
    const waiting = sessions.get(pid);
    // Over in the meantime.
    if (waiting === undefined || blockers.length === 0) return [];
    return [
      {
        waiting: { ...waiting, forMs: Math.max(0, forMs ?? waiting.forMs) },
        blockedBy: [...new Set(blockers)].flatMap((blocker) => sessions.get(blocker) ?? prepared(blocker)),
        on: table ?? (type === 'transactionid' ? 'a row that another changes' : `${type} lock`),
      },
    ];
  });
}

/** Whoever else is not there has gone. */
function prepared(pid: string): RunningStatement[] {
  if (pid !== PREPARED) return [];
  const nobody = { user: null, client: null, application: null };
  return [{ sessionId: pid, ...nobody, state: 'prepared transaction', forMs: 0, text: '' }];
}

async function readHorizon(
  session: PostgresSession,
  signal: AbortSignal,
): Promise<DatabaseHealth['horizon']> {
  const [held] = await session.rows(horizonRow, sql.horizon, signal);
  if (held === undefined) return null;
  const name = held.name ?? '';
  const heldBy = {
    session: () => namedSession({ ...held, sessionId: name, state: held.state ?? '' }),
    prepared: () => `prepared transaction "${name}"${held.user === null ? '' : ` of ${held.user}`}`,
    slot: () => `replication slot ${name} (${held.state ?? ''})`,
    standby: () => `standby ${name} (hot_standby_feedback)`,
  }[held.kind]();
  return { transactions: held.transactions, heldBy, heldForMs: held.for_ms && Math.max(0, held.for_ms) };
}
