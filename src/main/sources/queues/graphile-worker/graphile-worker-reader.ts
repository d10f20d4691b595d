// The reader of Graphile Worker 0.16 and 0.17: jobs by task, as it knows no tenants of its own.
import type { Capabilities } from '../../../../contract/capabilities.ts';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { JobsQuery, LocksQuery } from '../../../../contract/queue-jobs.ts';
import type { TenantInfo } from '../../../../core/sample.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { capabilitiesFound } from './capabilities.ts';
import { DeeperCounts } from './deeper-counts.ts';
import { jobDetail, jobsPage, locksPage } from './job-lists.ts';
import { pollSample } from './poll-sample.ts';
import {
  extentRow,
  functionRow,
  indexRow,
  pollRow,
  relationRow,
  taskIdRow,
  taskRow,
  versionRow,
  writableRow,
  type IndexRow,
  type RelationRow,
} from './rows.ts';
import * as sql from './sql.ts';
import { watchedTables } from './watched.ts';

/** The newest migration that this reader was checked against: that of 0.17. */
const KNOWN_VERSION = 19;

/**
 * Looks for Graphile Worker in `schema` and reads it once. Rejects with `schema-mismatch` where it is not there or is
 * too old, with `grant-missing` where the account may not read it.
 */
export async function inspectGraphileWorker(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<QueueReader<PostgresSession>> {
  const relations = await session.rows(relationRow, sql.relations, signal, [schema]);
  const mismatch = missing(relations, schema);
  if (mismatch !== null) throw new HeadwayError('schema-mismatch', mismatch);
  const migrations = relations.find(({ name }) => name === 'migrations');
  const version =
    migrations?.readable === true
      ? (await session.row(versionRow, sql.schemaVersion(schema), signal)).version
      : null;
  const indexes = await session.rows(indexRow, sql.indexes, signal, [schema]);
  const functions = await session.rows(functionRow, sql.functions, signal, [schema]);
  // Naming a table needs the grant that reading it does.
  const { writable } = await session.row(writableRow, sql.writable(schema), signal);
  const capabilities = capabilitiesFound(new Set(functions.map(({ name }) => name)), writable);
  const reader = new GraphileWorkerReader({ schema, version, relations, indexes, capabilities });
  // Shows that the account may read the tables, and which bounds hold.
  await reader.sample(session, signal);
  return reader;
}

interface Found {
  schema: string;
  /** The newest migration; null when the account may not read it. */
  version: number | null;
  relations: readonly RelationRow[];
  indexes: readonly IndexRow[];
  capabilities: Capabilities;
}

class GraphileWorkerReader implements QueueReader<PostgresSession> {
  readonly system: string;
  readonly tenantWord = 'task';
  readonly capabilities: Capabilities;
  /** The claim itself names no order among jobs of one moment; the index mostly keeps that of their ids. */
  readonly claimOrder = 'by priority, then by run time, then by id';
  readonly #schema: string;
  readonly #columns: readonly string[];
  readonly #hasTaskIndex: boolean;
  readonly #hasUnavailableIndex: boolean;
  readonly #lasting: readonly string[];
  readonly #deeper: DeeperCounts;
  /** Warnings that depend on how many jobs there are; of the last poll. */
  #passing: readonly string[] = [];

  constructor({ schema, version, relations, indexes, capabilities }: Found) {
    this.capabilities = capabilities;
    this.#columns = relations.find(({ name }) => name === '_private_jobs')?.columns ?? [];
    this.system = version === null ? 'Graphile Worker' : `Graphile Worker (schema version ${version})`;
    this.#schema = schema;
    this.#deeper = new DeeperCounts(schema);
    const has = (first: string, second: string | null, conditions: readonly string[]) =>
      indexes.some(
        (index) =>
          index.first === first &&
          (second === null || index.second === second) &&
          conditions.includes(index.condition ?? ''),
      );
    const available = ['(is_available = true)', 'is_available'];
    this.#hasTaskIndex = has('task_id', 'run_at', available);
    this.#hasUnavailableIndex = has('locked_at', null, ['(is_available = false)', '(NOT is_available)']);
    this.#lasting = [
      ...hiddenRows(relations, schema),
      ...(version !== null && version > KNOWN_VERSION
        ? [
            `Its schema version ${version} is newer than ${KNOWN_VERSION}, the last that Headway knows: check the numbers, and look for a newer Headway.`,
          ]
        : []),
      ...(has('priority', 'run_at', available)
        ? []
        : [
            `Graphile Worker's index for claims is missing, so that each poll, as each claim, may read all jobs: ${sql.claimIndex(schema)}.`,
          ]),
    ];
  }

  get warnings(): readonly string[] {
    return [...this.#lasting, ...this.#passing];
  }

  async tenants(session: PostgresSession, signal: AbortSignal): Promise<TenantInfo[]> {
    const tasks = await session.rows(taskRow, sql.tasks(this.#schema), signal);
    return tasks.map(({ identifier }) => ({ id: identifier, name: identifier, detail: '' }));
  }

  async sample(session: PostgresSession, signal: AbortSignal): Promise<QueueRead> {
    const { plan, isLarge, morePriorities } = await this.#plan(session, signal);
    const row = await session.row(pollRow, sql.poll(this.#schema, plan), signal);
    const { read, taskIds, sawAllDue } = pollSample(row, plan, morePriorities);
    this.#passing = [
      ...(sawAllDue || this.#hasTaskIndex
        ? []
        : [
            `Tasks behind the first ${sql.WALK} ready jobs are not seen, and counts are "at least", for want of an index by task: ${sql.taskIndex(this.#schema)}.`,
          ]),
      ...(isLarge && !this.#hasUnavailableIndex
        ? [
            `Running jobs are sought among the ${sql.WALK} lowest ids only, and dead ones not at all, for want of an index in a large table: ${sql.unavailableIndex(this.#schema)}.`,
          ]
        : []),
    ];
    if (plan.headLimit === null || plan.headLimit >= sql.DEEP) return read;
    return { ...read, tenants: await this.#deeper.known(session, taskIds, read.tenants, signal) };
  }

  async #plan(session: PostgresSession, signal: AbortSignal) {
    const schema = this.#schema;
    const jobs = sql.table(schema, '_private_jobs');
    const { priorities, pages, tasks } = await session.row(extentRow, sql.extent(schema), signal, [jobs]);
    const walked = priorities.slice(0, sql.PRIORITIES);
    const isLarge = pages > sql.SCANNED_PAGES;
    const headLimit = this.#hasTaskIndex ? sql.headLimit(tasks) : null;
    const plan: sql.PollPlan = {
      priorities: walked,
      walkLimit: sql.walkLimit(walked.length, headLimit),
      headLimit,
      unavailable: isLarge && !this.#hasUnavailableIndex ? 'lowest-ids' : 'all',
    };
    return { plan, isLarge, morePriorities: priorities.length > walked.length };
  }

  jobs(session: PostgresSession, query: JobsQuery, signal: AbortSignal) {
    return jobsPage(session, this.#tables, query, signal);
  }

  job(session: PostgresSession, id: string, signal: AbortSignal) {
    return jobDetail(session, this.#schema, this.#columns, id, signal);
  }

  locks(session: PostgresSession, query: LocksQuery, signal: AbortSignal) {
    return locksPage(session, this.#tables, query, signal);
  }

  async watched(session: PostgresSession, signal: AbortSignal): Promise<WatchedTables> {
    const { plan } = await this.#plan(session, signal);
    const tasks = await session.rows(taskIdRow, sql.someTasks(this.#schema), signal);
    return watchedTables(
      this.#schema,
      plan,
      tasks.map(({ id }) => id),
    );
  }

  get #tables() {
    return { schema: this.#schema, hasUnavailableIndex: this.#hasUnavailableIndex };
  }
}

/** What keeps these relations from being a Graphile Worker that can be read, and what to do; null when nothing does. */
function missing(relations: readonly RelationRow[], schema: string): string | null {
  if (relations.length === 0) {
    return `There is no schema ${schema} with tables in this database. Check the database and the schema of this connection; Graphile Worker makes its tables when it first starts.`;
  }
  const columnsOf = new Map(relations.map(({ name, columns }) => [name, columns]));
  const absent = Object.keys(sql.NEEDED_COLUMNS).filter((name) => !columnsOf.has(name));
  if (absent.length > 0) {
    return columnsOf.has('jobs') && columnsOf.has('migrations')
      ? `Schema ${schema} holds an older Graphile Worker, without ${absent.join(', ')}. Upgrade it to 0.16 or newer.`
      : `Schema ${schema} has no ${absent.join(', ')}. Check the schema of this connection.`;
  }
  const columns = Object.entries(sql.NEEDED_COLUMNS).flatMap(([name, needed]) =>
    needed
      .filter((column) => columnsOf.get(name)?.includes(column) !== true)
      .map((column) => `${name}.${column}`),
  );
  if (columns.length === 0) return null;
  return `Schema ${schema} is of a Graphile Worker that Headway does not know: ${columns.join(', ')} is missing. It reads 0.16 and 0.17.`;
}

/** Row-level security is on in every Graphile Worker: an account without a policy sees empty tables. */
function hiddenRows(relations: readonly RelationRow[], schema: string): string[] {
  const hidden = relations.filter(({ name, hidden }) => hidden && name in sql.NEEDED_COLUMNS);
  if (hidden.length === 0) return [];
  const names = hidden.map(({ name }) => name).join(', ');
  const policies = hidden.map(
    ({ name }) =>
      `CREATE POLICY headway_reads ON ${quotePgName(schema)}.${quotePgName(name)} FOR SELECT TO … USING (true)`,
  );
  return [
    `Row-level security hides rows of ${names} from this account, so that counts are too low, or zero. An administrator runs ALTER ROLE … BYPASSRLS, or ${policies.join('; ')}.`,
  ];
}
