// How the MySQL or MariaDB server beside a queue is doing, from its own tables and counters.
import { z } from 'zod';
import type { DatabaseHealth, RunningStatement } from '../../../contract/database-health.ts';
import type { MysqlSession } from '../mysql-session.ts';
import { healthFindings, type HealthFigures } from './health-findings.ts';
import * as sql from './mysql-health-sql.ts';
import { NotedReads } from './noted-reads.ts';
import { shownStatement } from './shown-statement.ts';
import { sqlTokens } from './sql-tokens.ts';
import type { WatchedTables } from './watched-tables.ts';

const number = z.coerce.number();
const ms = z.preprocess((value) => value ?? 0, number).transform((value) => Math.max(0, value));
const counterRow = z.object({ Variable_name: z.string(), Value: number });
const maxRow = z.object({ max: number });
const lengthRow = z.object({ length: number });
const transactionRow = z.object({ id: number, for_ms: ms });
const waitRow = z.object({
  waiting: number,
  blocking: number,
  wait_ms: ms,
  blocker_ms: ms,
  on: z.string().nullable(),
});
const sessionRow = z.object({
  id: number,
  user: z.string().nullable(),
  host: z.string().nullable(),
  command: z.string(),
  state: z.string().nullable(),
  for_ms: ms,
  text: z.string().nullable(),
});
type SessionRow = z.infer<typeof sessionRow>;
const text = z.string().nullish();
const replicaRow = z
  .object({
    ...{ Connection_name: text, Channel_Name: text, Master_Host: text, Source_Host: text },
    ...{
      Slave_IO_Running: text,
      Replica_IO_Running: text,
      Slave_SQL_Running: text,
      Replica_SQL_Running: text,
    },
    ...{ Seconds_Behind_Master: number.nullish(), Seconds_Behind_Source: number.nullish() },
  })
  .transform((row) => ({
    channel: row.Connection_name ?? row.Channel_Name ?? '',
    source: row.Master_Host ?? row.Source_Host ?? '',
    receives: row.Slave_IO_Running ?? row.Replica_IO_Running ?? '',
    applies: row.Slave_SQL_Running ?? row.Replica_SQL_Running ?? '',
    behindS: row.Seconds_Behind_Master ?? row.Seconds_Behind_Source ?? null,
  }));

/** Under so many reads a ratio says only that the server has just begun. */
const READS_THAT_TELL = 10_000;
/** What the server writes as the thread of a transaction that has none. */
const NO_THREAD = 0;

/**
 * Never fails for a figure that may not be read: it is null, and a note names the grant. `now`: local clock, epoch ms. Rejects when the
 * session does.
 */
export async function readMysqlHealth(
  session: MysqlSession,
  watched: WatchedTables,
  now: () => number,
  signal: AbortSignal,
): Promise<DatabaseHealth> {
  const atMs = now();
  const { product, version, account } = session.server;
  const isMaria = product === 'MariaDB';
  const reads = new NotedReads();
  const grantProcess = `GRANT PROCESS ON *.* TO ${account}`;
  const counters = await reads.read('The server’s counters', new Map<string, number>(), async () => {
    const rows = await session.rows(counterRow, sql.counters, signal);
    return new Map(rows.map(({ Variable_name: name, Value: value }) => [name.toLowerCase(), value]));
  });
  const max = await reads.read('The number of connections', null, () =>
    session.row(maxRow, sql.maxConnections, signal),
  );
  const waits = await reads.read(
    'Who waits for which lock',
    [],
    () => session.rows(waitRow, isMaria ? sql.mariadbLockWaits : sql.mysqlLockWaits, signal),
    isMaria ? grantProcess : `${grantProcess}, and GRANT SELECT ON performance_schema.* TO ${account}`,
  );
  const oldest = await reads.read(
    'What other accounts run',
    null,
    async () => (await session.rows(transactionRow, sql.oldestTransaction, signal))[0] ?? null,
    grantProcess,
  );
  const ids = [
    ...waits.flatMap(({ waiting, blocking }) => [waiting, blocking]),
    ...(oldest ? [oldest.id] : []),
  ];
  const sessions = await reads.read('Sessions', [], () =>
    session.rows(sessionRow, sql.sessions(isMaria ? 'TIME_MS' : 'TIME * 1000', ids), signal),
  );
  const byId = new Map(sessions.map((row) => [row.id, row]));
  const statement = (id: number, forMs: number) => statementOf(byId.get(id), id, forMs);
  const figures: HealthFigures = {
    connections: connectionsOf(counters, max),
    cacheHitRatio: hitRatio(counters),
    lockWaits: [...lockWaits(waits, statement), ...tableWaits(sessions)],
    slow: sessions.filter((row) => isSlow(row, watched.tables)).map((row) => statement(row.id, row.for_ms)),
    deadRows: null,
    horizon: null,
    historyListLength:
      counters.get('innodb_history_list_length') ??
      (await reads.read(
        'The history list',
        null,
        async () => (await session.rows(lengthRow, sql.historyLength, signal))[0]?.length ?? null,
        grantProcess,
      )),
    replicas: await reads.read(
      'Replication',
      null,
      async () => [...(await following(session, signal)), ...fetching(sessions)],
      `GRANT ${isMaria ? 'SLAVE MONITOR' : 'REPLICATION CLIENT'} ON *.* TO ${account}`,
    ),
    oldestTransaction: oldest && statement(oldest.id, oldest.for_ms),
    endSession: (id) =>
      id === String(NO_THREAD) ? 'XA ROLLBACK or XA COMMIT (XA RECOVER lists it)' : `KILL ${id}`,
  };
  const { oldestTransaction: _oldest, endSession: _end, ...shown } = figures;
  return {
    ...shown,
    atMs,
    server: `${product} ${version}`,
    notes: reads.notes,
    findings: healthFindings(figures),
    costMs: Math.max(0, now() - atMs),
  };
}

function connectionsOf(
  counters: ReadonlyMap<string, number>,
  max: { max: number } | null,
): DatabaseHealth['connections'] {
  const used = counters.get('threads_connected');
  // The one for administrators comes on top of max_connections.
  return used === undefined || max === null ? null : { used, max: max.max, reserved: 0 };
}

function hitRatio(counters: ReadonlyMap<string, number>): number | null {
  const asked = counters.get('innodb_buffer_pool_read_requests') ?? 0;
  const missed = counters.get('innodb_buffer_pool_reads') ?? 0;
  return asked < READS_THAT_TELL ? null : Math.max(0, 1 - missed / asked);
}

/** `row` is missing where the session ended in the meantime, or may not be seen. */
function statementOf(row: SessionRow | undefined, id: number, forMs: number): RunningStatement {
  if (row === undefined) {
    const state = id === NO_THREAD ? 'prepared transaction (XA)' : 'unknown';
    return { sessionId: String(id), user: null, client: null, application: null, state, forMs, text: '' };
  }
  return {
    sessionId: String(id),
    user: row.user,
    client: row.host?.replace(/:\d+$/, '') ?? null,
    application: null,
    state: row.command === 'Query' || row.command === 'Execute' ? row.state || row.command : row.command,
    forMs,
    text: shownStatement(row.text ?? '', 'mysql'),
  };
}

type StatementOf = (id: number, forMs: number) => RunningStatement;

function lockWaits(
  waits: readonly z.infer<typeof waitRow>[],
  statement: StatementOf,
): DatabaseHealth['lockWaits'] {
  return [...Map.groupBy(waits, ({ waiting }) => waiting)].flatMap(([id, rows]) => {
    const [first] = rows;
    if (first === undefined) return [];
    const blockers = new Map(rows.map(({ blocking, blocker_ms: forMs }) => [blocking, forMs]));
    return [
      {
        waiting: statement(id, first.wait_ms),
        blockedBy: [...blockers].map(([blocking, forMs]) => statement(blocking, forMs)),
        on: first.on,
      },
    ];
  });
}

/** Waits for a whole table, which a change of its form needs. Who holds it the server tells only with an extra plugin. */
function tableWaits(sessions: readonly SessionRow[]): DatabaseHealth['lockWaits'] {
  return sessions
    .filter(({ command, state }) => command !== 'Sleep' && /^Waiting for table/.test(state ?? ''))
    .map((row) => ({ waiting: statementOf(row, row.id, row.for_ms), blockedBy: [], on: 'a table' }));
}

function isSlow({ command, for_ms: forMs, text: statement }: SessionRow, tables: readonly string[]): boolean {
  if (!['Query', 'Execute'].includes(command) || forMs < 1_000) return false;
  const names = new Set(tables.map(bareName));
  return sqlTokens(statement ?? '', 'mysql').some(
    ({ kind, text: token }) => (kind === 'name' || kind === 'word') && names.has(bareName(token)),
  );
}

/** The last part of a name, unquoted; names are compared without regard to case, as some systems keep them. */
function bareName(name: string): string {
  const last =
    sqlTokens(name, 'mysql').findLast(({ kind }) => kind === 'name' || kind === 'word')?.text ?? '';
  return last.replace(/^`|`$/g, '').replaceAll('``', '`').toLowerCase();
}

async function following(
  session: MysqlSession,
  signal: AbortSignal,
): Promise<NonNullable<DatabaseHealth['replicas']>> {
  const { product, version } = session.server;
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const isOld = major * 1e6 + minor * 1e3 + patch < 8_000_022;
  const statement =
    product === 'MariaDB' ? sql.mariadbReplica : isOld ? sql.oldMysqlReplica : sql.mysqlReplica;
  const rows = await session.rows(replicaRow, statement, signal);
  return rows.map(({ channel, source, receives, applies, behindS }) => {
    const stopped = [...(receives === 'No' ? ['receiving'] : []), ...(applies === 'No' ? ['applying'] : [])];
    return {
      name: `this server${channel === '' ? '' : `, channel ${channel}`}`,
      state: stopped.length > 0 ? `${stopped.join(' and ')} of ${source} stopped` : `follows ${source}`,
      lagMs: behindS === null ? null : Math.max(0, behindS * 1_000),
    };
  });
}

/** Servers that fetch changes from this one, which does not know how far they are. */
function fetching(sessions: readonly SessionRow[]): NonNullable<DatabaseHealth['replicas']> {
  return sessions
    .filter(({ command }) => command.startsWith('Binlog Dump'))
    .map(({ host, state, id }) => ({ name: host ?? String(id), state: state || 'connected', lagMs: null }));
}
