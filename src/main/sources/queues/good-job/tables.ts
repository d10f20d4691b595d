// The tables of GoodJob 3.x and 4.x: what must be there, and which indexes serve. From its migrations.
import { HeadwayError } from '../../../../contract/errors.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresIndex, PostgresRelation } from '../postgres-relations.ts';

export const PREFIX = 'good_job';

/** Columns that are read; all are in every version since 3.0. */
export const NEEDED: Readonly<Record<string, readonly string[]>> = {
  good_jobs: [
    'id',
    'queue_name',
    'priority',
    'serialized_params',
    'scheduled_at',
    'performed_at',
    'finished_at',
    'error',
  ].concat(['created_at', 'active_job_id', 'cron_key', 'retried_good_job_id']),
  good_job_processes: ['id', 'created_at', 'updated_at', 'state'],
  good_job_settings: ['key', 'value'],
};
/** Read where they are there. */
export const EXECUTIONS = 'good_job_executions';
const KNOWN = [...Object.keys(NEEDED), EXECUTIONS, 'good_job_batches'];

/** What this generation has; statements leave out what it has not. */
export interface GoodJobTables {
  schema: string;
  columns: ReadonlySet<string>;
  /** In their order, for a whole row. */
  columnNames: readonly string[];
  /** Since 4.0 a row says which process holds it; before, only an advisory lock does. */
  locksByRow: boolean;
  /** Whether processes say how they prove that they live. */
  processesHaveLockType: boolean;
  executions: ReadonlySet<string> | null;
  indexes: {
    /** (queue_name, scheduled_at, …) of unfinished jobs. */
    byQueue: boolean;
    /** (queue_name) of all jobs. */
    queues: boolean;
    /** (locked_by_id). */
    locked: boolean;
    /** (finished_at) of discarded jobs, or of all finished ones. */
    discarded: boolean;
    finished: boolean;
    /** (scheduled_at) of unfinished jobs. */
    scheduled: boolean;
  };
}

export const table = (schema: string, name: string): string => `${quotePgName(schema)}.${name}`;

/** Rejects with `schema-mismatch` where GoodJob is not there, or not whole. */
export function goodJobTables(
  schema: string,
  relations: readonly PostgresRelation[],
  stored: readonly PostgresIndex[],
): GoodJobTables {
  const byName = new Map(relations.map((relation) => [relation.name, relation]));
  const jobs = byName.get('good_jobs');
  if (jobs === undefined) {
    throw mismatch(
      `Schema ${schema} has no table good_jobs. Check the database and the schema of this connection; GoodJob's migrations make its tables.`,
    );
  }
  const missing = Object.entries(NEEDED).flatMap(([name, columns]) => {
    const relation = byName.get(name);
    if (relation === undefined) return [`table ${name}`];
    return columns
      .filter((column) => !relation.columns.includes(column))
      .map((column) => `${name}.${column}`);
  });
  if (missing.length > 0) {
    throw mismatch(
      `Schema ${schema} holds half a GoodJob, or one before 3.0: ${missing.join(', ')} missing. Run bin/rails g good_job:update and its migrations.`,
    );
  }
  const views = Object.keys(NEEDED).filter((name) => byName.get(name)?.isTable === false);
  if (views.length > 0) {
    throw mismatch(
      `${views.join(', ')} in schema ${schema} is a view, whose rows cannot be walked by an index. Connect to the schema that holds the tables.`,
    );
  }
  const has = (columns: readonly string[], condition: RegExp | null): boolean =>
    stored.some(
      (index) =>
        index.table === 'good_jobs' &&
        columns.every((column, i) => index.columns[i] === column) &&
        (condition === null ? index.condition === null : condition.test(index.condition ?? '')),
    );
  const executions = byName.get(EXECUTIONS);
  return {
    schema,
    columns: new Set(jobs.columns),
    columnNames: jobs.columns,
    locksByRow: jobs.columns.includes('locked_by_id'),
    processesHaveLockType: byName.get('good_job_processes')?.columns.includes('lock_type') === true,
    executions: executions === undefined ? null : new Set(executions.columns),
    indexes: {
      byQueue: has(['queue_name', 'scheduled_at'], /^finished_at IS NULL$/),
      queues: has(['queue_name'], null),
      locked: has(['locked_by_id'], /^locked_by_id IS NOT NULL$/),
      discarded: has(['finished_at'], /^finished_at IS NOT NULL AND error IS NOT NULL$/),
      finished: has(['finished_at'], /^(retried_good_job_id IS NULL AND )?finished_at IS NOT NULL$/),
      scheduled: has(['scheduled_at'], /^finished_at IS NULL$/),
    },
  };
}

const mismatch = (message: string) => new HeadwayError('schema-mismatch', message);

export const systemOf = ({ locksByRow }: GoodJobTables): string => (locksByRow ? 'GoodJob 4' : 'GoodJob 3');

export function tableWarnings(
  { schema, indexes, locksByRow }: GoodJobTables,
  relations: readonly PostgresRelation[],
): string[] {
  const unknown = relations.filter(({ name }) => name.startsWith('good_job_') && !KNOWN.includes(name));
  const jobs = table(schema, 'good_jobs');
  const missing = [
    ...(indexes.byQueue
      ? []
      : [`CREATE INDEX CONCURRENTLY ON ${jobs} (queue_name, scheduled_at) WHERE finished_at IS NULL`]),
    ...(locksByRow && !indexes.locked
      ? [`CREATE INDEX CONCURRENTLY ON ${jobs} (locked_by_id) WHERE locked_by_id IS NOT NULL`]
      : []),
    ...(indexes.discarded
      ? []
      : [
          `CREATE INDEX CONCURRENTLY ON ${jobs} (finished_at DESC) WHERE finished_at IS NOT NULL AND error IS NOT NULL`,
        ]),
  ];
  return [
    ...(unknown.length === 0
      ? []
      : [
          `This GoodJob has tables that Headway does not know: ${unknown.map(({ name }) => name).join(', ')}. What they say of jobs is not shown. Look for a newer Headway.`,
        ]),
    ...(missing.length === 0
      ? []
      : [
          `Indexes that GoodJob 4 brings are missing, so that polls read more than they need or know less (discarded jobs are "at least"): ${missing.join('; ')}.`,
        ]),
  ];
}
