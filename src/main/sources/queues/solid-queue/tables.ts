// The tables of Solid Queue: what must be there, what may be, and what to say of the rest. From its queue_schema.rb and migrations.
import { HeadwayError } from '../../../../contract/errors.ts';

/** Columns that are read, by table, without "solid_queue_". All are in every version since 0.2. */
export const NEEDED = {
  jobs: [
    'id',
    'queue_name',
    'class_name',
    'arguments',
    'priority',
    'active_job_id',
    'scheduled_at',
    'finished_at',
  ].concat(['concurrency_key', 'created_at']),
  ready_executions: ['id', 'job_id', 'queue_name', 'priority', 'created_at'],
  claimed_executions: ['id', 'job_id', 'process_id', 'created_at'],
  scheduled_executions: ['id', 'job_id', 'queue_name', 'priority', 'scheduled_at'],
  blocked_executions: ['id', 'job_id', 'queue_name', 'concurrency_key', 'expires_at', 'created_at'],
  failed_executions: ['id', 'job_id', 'error', 'created_at'],
  pauses: ['queue_name', 'created_at'],
  processes: ['id', 'kind', 'last_heartbeat_at', 'pid', 'hostname', 'metadata'],
} as const;
export type TableName = keyof typeof NEEDED;

/** Of later versions; not needed. */
const OPTIONAL = ['semaphores', 'recurring_executions', 'recurring_tasks', 'batches', 'batch_executions'];
export const PREFIX = 'solid_queue_';

export interface Relation {
  /** With its prefix. */
  name: string;
  isTable: boolean;
  columns: readonly string[];
}

/** An index by its leading columns; a column that is null is no plain column. */
export interface StoredIndex {
  /** Of the table, with its prefix. */
  table: string;
  name: string;
  columns: readonly (string | null)[];
}

/** What serves which walk, by the names that the indexes have here. */
export interface ServingIndexes {
  /** (queue_name, priority, job_id) of ready executions. */
  lanes: string | null;
  /** (queue_name, …) of jobs. */
  queues: string | null;
  /** (scheduled_at, …) of scheduled executions. */
  due: string | null;
  /** (queue_name, scheduled_at) of scheduled executions, which Solid Queue does not bring. */
  dueByQueue: string | null;
  /** (queue_name, …) of blocked executions, which it does not bring either. */
  blockedByQueue: string | null;
  /** (finished_at, …) of jobs. */
  finished: string | null;
}

/** Rejects with `schema-mismatch` where what is read is not there. `place`: "Schema public", "Database queue". */
export function requireTables(place: string, relations: readonly Relation[]): void {
  const byName = new Map(relations.map((relation) => [relation.name, relation]));
  if (![...byName.keys()].some((name) => name in prefixed)) {
    throw mismatch(
      `${place} has no tables of Solid Queue. Check the database and the schema of this connection: Rails often keeps the queue in a database of its own ("…_queue"), made by bin/rails db:prepare.`,
    );
  }
  const missing = Object.entries(prefixed).flatMap(([name, columns]) => {
    const relation = byName.get(name);
    if (relation === undefined) return [`table ${name}`];
    return columns
      .filter((column) => !relation.columns.includes(column))
      .map((column) => `${name}.${column}`);
  });
  if (missing.length > 0) {
    throw mismatch(
      `${place} holds half a Solid Queue, or one before 0.2: ${missing.join(', ')} missing. Run its pending migrations, or update it.`,
    );
  }
  const views = Object.keys(prefixed).filter((name) => byName.get(name)?.isTable === false);
  if (views.length > 0) {
    throw mismatch(
      `${views.join(', ')} in ${place.toLowerCase()} is a view, whose rows cannot be walked by an index. Connect to the database or schema that holds the tables.`,
    );
  }
}

const prefixed: Record<string, readonly string[]> = Object.fromEntries(
  Object.entries(NEEDED).map(([name, columns]) => [`${PREFIX}${name}`, columns]),
);
const mismatch = (message: string) => new HeadwayError('schema-mismatch', message);

/** Solid Queue keeps no version of its own; its tables tell the generation. */
export function systemOf(relations: readonly Relation[]): string {
  const has = (table: string, column?: string) =>
    relations.some(
      ({ name, columns }) =>
        name === `${PREFIX}${table}` && (column === undefined || columns.includes(column)),
    );
  if (has('batches')) return 'Solid Queue (with batches)';
  if (has('processes', 'name') && has('recurring_tasks')) return 'Solid Queue';
  return 'Solid Queue (tables from before 0.6)';
}

/** Tables of a Solid Queue that is newer than this reader. */
export function unknownWarnings(relations: readonly Relation[]): string[] {
  const known = [...Object.keys(NEEDED), ...OPTIONAL].map((name) => `${PREFIX}${name}`);
  const unknown = relations.filter(({ name }) => name.startsWith(PREFIX) && !known.includes(name));
  if (unknown.length === 0) return [];
  return [
    `This Solid Queue has tables that Headway does not know: ${unknown.map(({ name }) => name).join(', ')}. Jobs that wait in them are not counted. Look for a newer Headway.`,
  ];
}

export function servingIndexes(indexes: readonly StoredIndex[]): ServingIndexes {
  const find = (table: TableName, ...columns: string[]): string | null =>
    indexes.find(
      (index) =>
        index.table === `${PREFIX}${table}` && columns.every((column, i) => index.columns[i] === column),
    )?.name ?? null;
  return {
    lanes: find('ready_executions', 'queue_name', 'priority', 'job_id'),
    queues: find('jobs', 'queue_name'),
    due: find('scheduled_executions', 'scheduled_at'),
    dueByQueue: find('scheduled_executions', 'queue_name', 'scheduled_at'),
    blockedByQueue: find('blocked_executions', 'queue_name'),
    finished: find('jobs', 'finished_at'),
  };
}

/** `ddl` makes the statement that creates an index. */
export function indexWarnings(
  { lanes, queues, finished }: ServingIndexes,
  ddl: (table: TableName, columns: readonly string[]) => string,
): string[] {
  const missing = [
    ...(lanes === null ? [ddl('ready_executions', ['queue_name', 'priority', 'job_id'])] : []),
    ...(queues === null ? [ddl('jobs', ['queue_name', 'finished_at'])] : []),
    ...(finished === null ? [ddl('jobs', ['finished_at'])] : []),
  ];
  if (missing.length === 0) return [];
  return [
    `Indexes that Solid Queue brings are missing, so that polls read whole tables: ${missing.join('; ')}.`,
  ];
}
