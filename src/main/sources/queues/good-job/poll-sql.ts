// Every statement of a poll of GoodJob, with the index each walks. All are reads. What one costs depends on the number of queues,
// never on the number of jobs.
import { escapeLiteral } from 'pg';
import { advisoryLocks, isHeld, isStale, processes } from './held.ts';
import { table, type GoodJobTables } from './tables.ts';

/** Queues that are watched. */
export const QUEUES = 5_000;
/** Rows that a walk without regard to queues reads at most. */
export const WALK = 2_001;
/** Due jobs of a queue that are read, those that are held and those that are ready, where queues are few; half as many later ones. */
const HEAD = 402;
/** More queues than so many share the rows that are read in all: 1,000 get 8 each. */
const SHARED = { from: 41, inAll: 8_300, least: 8 };
const shared = (queues: number): number => Math.max(SHARED.least, Math.floor(SHARED.inAll / queues));
/** Due jobs of a queue that are read. */
export const headLimit = (queues: number): number => (queues <= SHARED.from ? HEAD : shared(queues));
/** Jobs of a queue that are not due yet, likewise. */
export const laterLimit = (queues: number): number => (queues <= SHARED.from ? HEAD / 2 : shared(queues));
/** Both as SQL, and how many rows are read of the jobs that are not due yet whatever their queue: none where queues are few. */
const limits = (queues: string): string => {
  const byNumber = (few: number, many: string | number) =>
    `CASE WHEN ${queues} <= ${SHARED.from} THEN ${few} ELSE ${many} END`;
  const share = `greatest(${SHARED.least}, ${SHARED.inAll} / ${queues})`;
  return `${byNumber(HEAD, share)} AS head, ${byNumber(HEAD / 2, share)} AS later, ${byNumber(0, WALK)} AS ahead`;
};
/** Queues longer than their share that one poll looks deeper at, and the rows of each. */
export const DEEPER_PER_POLL = 25;
export const DEEPER = 201;
const PROCESSES = 1_000;

/**
 * For this session alone. Compiling a statement of so many small parts takes longer than running it. Rails writes UTC without a zone:
 * compared with the clock in UTC. Of a table that was not analysed PostgreSQL takes a partial index for nearly empty, and would rather
 * read all of one, or sort, for each queue than walk the one in order (200 ms for 30 queues instead of 3).
 */
export const sessionSettings = `
  SELECT set_config('TimeZone', 'UTC', false), count(set_config(name, 'off', false))
    FROM pg_settings WHERE name IN ('jit', 'enable_bitmapscan', 'enable_sort', 'enable_incremental_sort')`;

/**
 * Queues that have jobs; finished ones count where an index leads to them. Jobs without a queue are no one's. Walks: (queue_name) of all
 * jobs, else (queue_name, scheduled_at) of unfinished ones; one entry a queue, skipping.
 */
export const queues = (tables: GoodJobTables): string =>
  `WITH RECURSIVE next AS (${skipping(tables)}) SELECT queue_name AS name FROM next WHERE queue_name IS NOT NULL`;

/** The recursion "next" of it, with each queue's place. */
function skipping({ schema, indexes }: GoodJobTables): string {
  const jobs = table(schema, 'good_jobs');
  const which = indexes.queues ? '' : ' AND j.finished_at IS NULL';
  return `
    (SELECT j.queue_name, 1 AS place FROM ${jobs} j WHERE j.queue_name IS NOT NULL${which} ORDER BY j.queue_name LIMIT 1)
    UNION ALL
    SELECT (SELECT j.queue_name FROM ${jobs} j WHERE j.queue_name > next.queue_name${which} ORDER BY j.queue_name LIMIT 1),
           next.place + 1
      FROM next WHERE next.queue_name IS NOT NULL AND next.place <= ${QUEUES}`;
}

const ms = (time: string): string => `(extract(epoch FROM ${time}) * 1000)::float8`;

interface Part {
  part: string;
  queue?: string;
  jobs?: string;
  marked?: string;
  held?: string;
  at?: string;
  created_at?: string;
  last_at?: string;
  start_at?: string;
  started_at?: string;
  text?: string;
}

/** What a part leaves out is null, or zero. */
function select(part: Part): string {
  const time = (name: 'at' | 'created_at' | 'last_at' | 'start_at' | 'started_at') =>
    `${part[name] === undefined ? 'NULL::float8' : ms(part[name])} AS ${name}`;
  const count = (name: 'jobs' | 'marked' | 'held') => `(${part[name] ?? '0'})::float8 AS ${name}`;
  return `SELECT '${part.part}' AS part, (${part.queue ?? 'NULL'})::text AS queue, ${count('jobs')}, ${count('marked')}, ${count('held')},
         ${time('at')}, ${time('created_at')}, ${time('last_at')}, ${time('start_at')}, ${time('started_at')},
         (${part.text ?? 'NULL'})::text AS text`;
}

/**
 * Everything of one poll in one snapshot and one statement, as rows of several parts (rows.ts). Where queues are many, the jobs that are
 * not due yet are looked for in each of them only if the first of all do not tell. Walks also: (scheduled_at) of unfinished jobs.
 */
export function poll(tables: GoodJobTables): string {
  const { schema, locksByRow, indexes } = tables;
  const jobs = table(schema, 'good_jobs');
  const later = 'j.finished_at IS NULL AND j.scheduled_at > statement_timestamp()::timestamp';
  const ahead = indexes.scheduled
    ? `SELECT queue_name, count(*) AS jobs
         FROM (SELECT j.queue_name FROM ${jobs} j WHERE ${later} ORDER BY j.scheduled_at LIMIT (SELECT ahead FROM share)) soon
        GROUP BY queue_name`
    : 'SELECT NULL::text AS queue_name, 0 AS jobs WHERE false';
  const isWhole = indexes.scheduled
    ? `(SELECT (SELECT ahead FROM share) > 0 AND coalesce(sum(jobs), 0) < ${WALK} FROM ahead)`
    : 'false';
  const parts = [
    select({
      part: 'queues',
      jobs: '(SELECT count(*) FROM next WHERE queue_name IS NOT NULL)',
      marked: `CASE WHEN ${isWhole} THEN 1 ELSE 0 END`,
    }),
    // Compared as rows, so that no statistics make another index look better.
    head(
      tables,
      'due',
      `${range('-infinity', 'statement_timestamp()')} ORDER BY j.queue_name, j.scheduled_at LIMIT (SELECT head FROM share)`,
    ),
    ...(locksByRow
      ? []
      : [
          head(
            tables,
            'unscheduled',
            `j.queue_name = q.name AND j.scheduled_at IS NULL LIMIT (SELECT head FROM share)`,
          ),
        ]),
    `${select({ part: 'later', queue: 'a.queue_name', jobs: 'a.jobs' })} FROM ahead a WHERE ${isWhole}`,
    `${select({ part: 'later', queue: 'q.name', jobs: 'l.jobs' })}
    FROM q CROSS JOIN LATERAL (
         SELECT count(*) AS jobs FROM (
           SELECT FROM ${jobs} j WHERE j.finished_at IS NULL AND ${range('statement_timestamp()', 'infinity', '>')}
            ORDER BY j.queue_name, j.scheduled_at LIMIT (SELECT later FROM share)) seen) l
   WHERE NOT ${isWhole}`,
    ...(locksByRow ? [running(tables)] : []),
    ...(indexes.discarded || indexes.finished ? [dead(tables)] : []),
    ...pauses(schema),
    `${select({ part: 'process', marked: 'CASE WHEN p.lives THEN 1 ELSE 0 END', last_at: 'p.updated_at', text: 'left(p.state::text, 20000)' })}
    FROM processes p`,
    ...(indexes.finished
      ? [
          `${select({ part: 'finish', last_at: 'f.finished_at' })}
    FROM (SELECT finished_at FROM ${jobs} WHERE retried_good_job_id IS NULL AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1) f`,
        ]
      : []),
  ];
  return `
  WITH RECURSIVE next AS (${skipping(tables)}),
  q AS MATERIALIZED (SELECT queue_name AS name FROM next WHERE queue_name IS NOT NULL AND place <= ${QUEUES}),
  share AS MATERIALIZED (SELECT ${limits('count(*)')} FROM q), ahead AS MATERIALIZED (${ahead}),
  locks AS MATERIALIZED (${advisoryLocks}), processes AS MATERIALIZED (${processes(tables, PROCESSES)})
  ${parts.join('\n  UNION ALL\n  ')}`;
}

/** Of a queue from a time on, up to another. */
const range = (from: string, to: string, first: '>=' | '>' = '>='): string => {
  const at = (time: string) => (time.endsWith('infinity') ? `timestamp '${time}'` : `${time}::timestamp`);
  return `(j.queue_name, j.scheduled_at) ${first} (q.name, ${at(from)}) AND (j.queue_name, j.scheduled_at) <= (q.name, ${at(to)})`;
};

/**
 * The first jobs of each queue that may be worked now. A job is ready since it was created, or its time came, or (where a process died)
 * since it was last begun, whichever came last. Walks: (queue_name, scheduled_at) of unfinished jobs.
 */
function head(tables: GoodJobTables, part: 'due' | 'unscheduled', picked: string): string {
  const { schema, locksByRow } = tables;
  const free = 'FILTER (WHERE NOT held)';
  const held = (what: string) => (locksByRow ? {} : { [what]: `h.${what}` });
  return `${select({
    ...{
      part,
      queue: 'q.name',
      jobs: 'h.jobs',
      marked: 'h.free',
      at: 'h.ready_at',
      created_at: 'h.created_at',
      last_at: 'h.last_at',
    },
    ...{ ...held('held'), ...held('start_at'), ...held('started_at') },
  })}
    FROM q CROSS JOIN LATERAL (
         SELECT count(*) AS jobs, count(*) ${free} AS free, min(ready_at) ${free} AS ready_at, max(scheduled_at) AS last_at,
                (array_agg(created_at ORDER BY ready_at, created_at) ${free})[1] AS created_at,
                count(*) FILTER (WHERE held) AS held, min(performed_at) FILTER (WHERE held) AS start_at,
                max(performed_at) FILTER (WHERE held) AS started_at
           FROM (SELECT j.created_at, j.scheduled_at, j.performed_at, greatest(j.created_at, j.scheduled_at, j.performed_at) AS ready_at,
                        ${isHeld(tables, 'j')} AS held
                   FROM ${table(schema, 'good_jobs')} j WHERE j.finished_at IS NULL AND ${picked}) seen) h`;
}

/** Jobs that a row says are held. Walks: (locked_by_id), and the processes. */
function running({ schema }: GoodJobTables): string {
  return `${select({ part: 'running', queue: 'r.queue_name', jobs: 'r.jobs', marked: 'r.stale', start_at: 'r.start_at', started_at: 'r.started_at' })}
    FROM (SELECT queue_name, count(*) AS jobs, count(*) FILTER (WHERE stale) AS stale,
                 min(begun_at) FILTER (WHERE NOT stale) AS start_at, max(begun_at) AS started_at
            FROM (SELECT j.queue_name, coalesce(j.performed_at, j.locked_at) AS begun_at, ${isStale('j')} AS stale
                    FROM (SELECT * FROM ${table(schema, 'good_jobs')} WHERE locked_by_id IS NOT NULL AND finished_at IS NULL
                           ORDER BY locked_by_id LIMIT ${WALK}) j
                    LEFT JOIN processes p ON p.id = j.locked_by_id) seen
           GROUP BY queue_name) r`;
}

/**
 * Jobs that ended with an error and are not tried again: GoodJob calls them discarded. Before 4.0 a row that was tried again names the
 * next one. Walks: (finished_at) of those with an error, the newest; else of all that finished.
 */
function dead({ schema, indexes }: GoodJobTables): string {
  const which = indexes.discarded
    ? 'finished_at IS NOT NULL AND error IS NOT NULL'
    : 'retried_good_job_id IS NULL AND finished_at IS NOT NULL';
  return `${select({ part: 'dead', queue: 'd.queue_name', jobs: 'd.jobs', marked: 'd.dead' })}
    FROM (SELECT queue_name, count(*) AS jobs, count(*) FILTER (WHERE error IS NOT NULL AND retried_good_job_id IS NULL) AS dead
            FROM (SELECT queue_name, error, retried_good_job_id FROM ${table(schema, 'good_jobs')} WHERE ${which}
                   ORDER BY finished_at DESC LIMIT ${WALK}) seen
           GROUP BY queue_name) d`;
}

/** Walks: the unique index of settings, one row. */
function pauses(schema: string): string[] {
  const of = (
    kind: 'queues' | 'job_classes' | 'labels',
    part: Omit<Part, 'part'>,
  ) => `${select({ part: 'pause', ...part })}
    FROM ${table(schema, 'good_job_settings')} s
   CROSS JOIN LATERAL jsonb_array_elements_text(CASE jsonb_typeof(s.value -> '${kind}') WHEN 'array' THEN s.value -> '${kind}' ELSE '[]' END) e (name)
   WHERE s.key = 'pauses'`;
  return [
    of('queues', { queue: 'e.name' }),
    of('job_classes', { text: `'job class ' || e.name` }),
    of('labels', { text: `'label ' || e.name` }),
  ];
}

/** Of a few queues, due jobs up to DEEPER, held ones included. Walks: (queue_name, scheduled_at) of unfinished jobs. */
export const deeper = ({ schema }: GoodJobTables, names: readonly string[]): string => `
  SELECT q.name, (SELECT count(*) FROM (
           SELECT FROM ${table(schema, 'good_jobs')} j WHERE j.finished_at IS NULL AND ${range('-infinity', 'statement_timestamp()')}
            ORDER BY j.queue_name, j.scheduled_at LIMIT ${DEEPER}) seen)::float8 AS jobs
    FROM unnest(ARRAY[${names.map(escapeLiteral).join(', ')}]::text[]) q (name)`;
/** All due jobs of a queue, for the planner to say how many it expects. */
export const allDue = ({ schema }: GoodJobTables, name: string): string =>
  `SELECT FROM ${table(schema, 'good_jobs')} WHERE finished_at IS NULL AND queue_name = ${escapeLiteral(name)} AND scheduled_at <= statement_timestamp()::timestamp`;

/** The database's clock. */
export const clock = `SELECT ${ms('clock_timestamp()')} AS now`;
