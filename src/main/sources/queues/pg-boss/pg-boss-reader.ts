// pg-boss 10 to 12: a queue is a tenant. Facts of its schema are from its source (plans, migrations) at schema version 43.
import type { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { TenantInfo, TenantSample } from '../../../../core/sample.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { DepthMemory } from '../depth-memory.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { pgBossCapabilitiesOf } from './capabilities.ts';
import { jobDetail } from './job-detail.ts';
import { jobsPage, locksPage } from './job-lists.ts';
import { queueSample, waitingPart } from './queue-sample.ts';
import {
  clockRow,
  columnRow,
  nameRow,
  queueRow,
  runningRow,
  tableRow,
  versionRow,
  waitingRow,
  type QueueRow,
  type WaitingRow,
} from './rows.ts';
import * as sql from './sql.ts';
import { watchedTables } from './watched.ts';

/** pg-boss 10.0, the first with a table of queues. */
const OLDEST_VERSION = 21;
/** pg-boss 12.35. */
const NEWEST_VERSION = 43;
/** Parts that one statement is put together from: one a table. */
const TABLES_PER_STATEMENT = 20;

const NEEDED_COLUMNS = {
  version: ['version'],
  queue: ['name'],
  job: ['id', 'name', 'state', 'priority', 'created_on', 'start_after', 'started_on', 'completed_on'],
} as const;

/** Looks at the tables in `schema`. Rejects with `schema-mismatch` where pg-boss is not there, or is too old. */
export async function inspectPgBoss(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const found = await session.rows(columnRow, sql.columns, signal, [schema]);
  requireTables(schema, found);
  const { version } = await session.row(versionRow, sql.version(schema), signal);
  if (version === null || version < OLDEST_VERSION) {
    throw new HeadwayError(
      'schema-mismatch',
      `Schema ${quotePgName(schema)} is of pg-boss's schema version ${version ?? 'unknown'}; version ${OLDEST_VERSION} (pg-boss 10) or later is needed. Update pg-boss.`,
    );
  }
  const columnsOf = (table: string, which: (column: z.infer<typeof columnRow>) => boolean = () => true) =>
    new Set(
      found
        .filter((column) => column.table_name === table && which(column))
        .map(({ column_name }) => column_name),
    );
  const queueColumns = columnsOf('queue');
  const dialect: sql.Dialect = {
    schema,
    tableColumn: ['table_name', 'partition_name'].find((name) => queueColumns.has(name)) ?? null,
    jobColumns: columnsOf('job'),
    readable: columnsOf('job', ({ readable }) => readable),
    queueColumns,
    tellsParents: columnsOf('job_dependency', ({ readable }) => readable).has('child_id'),
  };
  const hidden = await session.rows(tableRow, sql.hiddenTables, signal, [schema]);
  const queues = await session.rows(queueRow, sql.queues(dialect), signal, [schema]);
  const depths = new DepthMemory<string>(sql.DEEPER_PER_POLL);
  return {
    system: `pg-boss ${release(version)} (schema version ${version})`,
    tenantWord: 'queue',
    warnings: [
      ...versionWarnings(version),
      ...hiddenWarnings(hidden.map(({ table_name }) => table_name)),
      ...tableWarnings(schema, queues),
    ],
    claimOrder: 'within each queue the highest priority first, then the oldest creation',
    tenants: (on, until) => readTenants(on, schema, until),
    capabilities: pgBossCapabilitiesOf(dialect.jobColumns),
    sample: (on, until) => twice(() => sample(on, dialect, depths, until)),
    jobs: (on, query, until) => twice(() => jobsPage(on, dialect, query, until)),
    job: (on, id, until) => twice(() => jobDetail(on, dialect, id, until)),
    locks: (on, query, until) => twice(() => locksPage(on, dialect, query, until)),
    watched: async (on, until) =>
      watchedTables(dialect, await on.rows(queueRow, sql.queues(dialect), until, [dialect.schema])),
  };
}

function requireTables(schema: string, found: readonly z.infer<typeof columnRow>[]): void {
  const missing = Object.entries(NEEDED_COLUMNS).flatMap(([table, needed]) => {
    const names = found
      .filter(({ table_name }) => table_name === table)
      .map(({ column_name }) => column_name);
    if (names.length === 0) return [`table ${table}`];
    return needed.filter((name) => !names.includes(name)).map((name) => `column ${table}.${name}`);
  });
  if (missing.length === 0) return;
  throw new HeadwayError(
    'schema-mismatch',
    `Schema ${quotePgName(schema)} is not one of pg-boss 10 or later: ${missing.join(', ')} missing. Check the database and the schema of this connection; start pg-boss once where it has not been installed yet.`,
  );
}

/** The major version by its schema: 10 began at 21, 11 at 25, 12 at 26. */
function release(version: number): string {
  if (version >= 26) return '12';
  return version >= 25 ? '11' : '10';
}

function versionWarnings(version: number): string[] {
  if (version <= NEWEST_VERSION) return [];
  return [
    `Schema version ${version} is newer than ${NEWEST_VERSION}, the newest this Headway knows; numbers may be wrong. Update Headway.`,
  ];
}

function hiddenWarnings(tables: readonly string[]): string[] {
  if (tables.length === 0) return [];
  return [
    `Row-level security may hide rows of ${tables.join(', ')} from this user: numbers are of what it may see. Give it a policy for all rows.`,
  ];
}

function tableWarnings(schema: string, queues: readonly QueueRow[]): string[] {
  const tablesWith = (pick: (queue: QueueRow) => boolean) => [
    ...new Set(queues.filter(pick).map(({ jobs_table }) => jobs_table)),
  ];
  const warning = (tables: readonly string[], what: string, ddl: (table: string) => string): string[] => {
    const [first] = tables;
    if (first === undefined) return [];
    const more = tables.length > 1 ? `, and likewise on ${tables.slice(1).join(', ')}` : '';
    return [`${what}: ${ddl(`${quotePgName(schema)}.${quotePgName(first)}`)}${more}.`];
  };
  return [
    ...warning(
      tablesWith(({ running }) => running === 'none'),
      'No index leads to the running jobs of a large table: their number is pg-boss’s own last count, and when they started is not known. An index tells both',
      (table) => `CREATE INDEX CONCURRENTLY ON ${table} (name, started_on) WHERE state = 'active'`,
    ),
    ...warning(
      tablesWith(({ waiting }) => waiting === 'none'),
      'No index leads to the waiting jobs of a large table, and how long they wait is not known. pg-boss brings such an index; one can be made by',
      (table) => `CREATE INDEX CONCURRENTLY ON ${table} (name, start_after) WHERE state < 'active'`,
    ),
    ...warning(
      tablesWith(({ unanalysed }) => unanalysed),
      'A large table was never analysed, so that the planner may read far more of it than is needed. Autovacuum does it, or',
      (table) => `ANALYZE ${table}`,
    ),
  ];
}

async function readTenants(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<TenantInfo[]> {
  const rows = await session.rows(nameRow, sql.names(schema), signal);
  return rows.map(({ name }) => ({ id: name, name, detail: '' }));
}

/** A queue that is deleted takes its table with it, maybe between two statements: then all is read once more. */
async function twice<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof HeadwayError) || error.code !== 'schema-mismatch') throw error;
    return await read();
  }
}

async function sample(
  session: PostgresSession,
  dialect: sql.Dialect,
  depths: DepthMemory<string>,
  signal: AbortSignal,
): Promise<QueueRead> {
  const queues = await session.rows(queueRow, sql.queues(dialect), signal, [dialect.schema]);
  const limits = sql.limitsOf(queues.length);
  const runningParts = byTable(queues, ({ running }) => running).flatMap(({ table, access, names }) =>
    access === 'none' ? [] : [sql.running(dialect, table, access, names, limits)],
  );
  const waiting = await readWaiting(session, dialect, queues, limits, signal);
  const runningRows = await unionOf(session, runningRow, runningParts, signal);
  const running = new Map(runningRows.map((row) => [row.name, row]));
  const { now } = await session.row(clockRow, sql.clock, signal);
  const told = queues.map((queue) =>
    queueSample(queue, waiting.get(queue.name) ?? [], running.get(queue.name), limits),
  );
  const tenants = await withDepths(session, dialect, { depths, queues, limits, told }, signal);
  const seen = runningRows.flatMap(({ seen_at }) => seen_at ?? []);
  return {
    databaseTimeMs: now,
    tenants,
    // pg-boss keeps no list of its workers, and no job names its own.
    workers: { busy: null, total: null, lastSeenAtMs: seen.length === 0 ? null : Math.max(...seen) },
    kinds: null,
    rowsRead: null,
  };
}

interface Told {
  depths: DepthMemory<string>;
  queues: readonly QueueRow[];
  limits: sql.Limits;
  told: TenantSample[];
}

/** Where many queues share the entries of a poll, counts of the long ones are of what was seen deeper in some of them, in turn. */
async function withDepths(
  session: PostgresSession,
  dialect: sql.Dialect,
  { depths, queues, limits, told }: Told,
  signal: AbortSignal,
): Promise<TenantSample[]> {
  const { head } = sql.limitsOf(1);
  if (limits.head === head) return told;
  const long = told.filter(({ ready }) => ready.kind === 'at-least').map(({ tenantId }) => tenantId);
  const picked = new Set(depths.pick(long));
  const deeper = queues.filter(({ name, waiting }) => picked.has(name) && waiting !== 'none');
  const rows = await readWaiting(session, dialect, deeper, { ...limits, head }, signal);
  for (const queue of deeper) depths.learn(queue.name, waitingPart(queue, rows.get(queue.name) ?? []));
  return told.map((each) => ({ ...each, ...depths.recall(each.tenantId, each) }));
}

async function readWaiting(
  session: PostgresSession,
  dialect: sql.Dialect,
  queues: readonly QueueRow[],
  limits: sql.Limits,
  signal: AbortSignal,
): Promise<Map<string, WaitingRow[]>> {
  const parts = byTable(queues, ({ waiting }) => waiting).flatMap(({ table, access, names }) =>
    access === 'none' ? [] : [sql.waiting(dialect, table, access, names, limits)],
  );
  return Map.groupBy(await unionOf(session, waitingRow, parts, signal), ({ name }) => name);
}

/** Queues by the table of their jobs, in one group a table: what it allows is the table's own. */
function byTable<A extends string>(
  queues: readonly QueueRow[],
  accessOf: (queue: QueueRow) => A,
): { table: string; access: A; names: string[] }[] {
  return [...Map.groupBy(queues, ({ jobs_table }) => jobs_table).values()].flatMap((members) => {
    const [first] = members;
    return first
      ? [{ table: first.read_table, access: accessOf(first), names: members.map(({ name }) => name) }]
      : [];
  });
}

async function unionOf<S extends z.ZodType>(
  session: PostgresSession,
  row: S,
  parts: readonly string[],
  signal: AbortSignal,
): Promise<z.infer<S>[]> {
  const rows: z.infer<S>[] = [];
  for (let i = 0; i < parts.length; i += TABLES_PER_STATEMENT) {
    const statement = parts.slice(i, i + TABLES_PER_STATEMENT).join('\nUNION ALL\n');
    rows.push(...(await session.rows(row, statement, signal)));
  }
  return rows;
}
