// What the statements of a poll of Solid Queue are made of, with the index each part walks. All are reads. What one costs depends on
// the number of queues and priorities, never on the number of jobs. An execution table's row is deleted when the job moves on.
import type { Dialect } from './dialect.ts';
import type { ServingIndexes } from './tables.ts';

/** Queues that are watched, and lanes (a queue's priorities) that are looked at. */
export const QUEUES = 5_000;
export const LANES = 5_000;
/** Rows that a walk without regard to queues reads at most. */
export const WALK = 2_001;
/** Rows of a lane where lanes are few. */
export const WHOLE_LANE = 201;
/** More lanes than so many share the rows that are read in all: 1,000 get 8 each. */
const SHARED = { from: 100, inAll: 8_300, least: 8 };
/** How many rows of a lane are read; likewise of a queue's scheduled or blocked jobs, where an index leads to them. */
export const laneLimit = (lanes: number): number =>
  lanes <= SHARED.from ? WHOLE_LANE : Math.max(SHARED.least, Math.floor(SHARED.inAll / lanes));
/** The same as SQL of PostgreSQL. */
export const laneLimitOf = (lanes: string): string =>
  `CASE WHEN ${lanes} <= ${SHARED.from} THEN ${WHOLE_LANE} ELSE greatest(${SHARED.least}, ${SHARED.inAll} / ${lanes}) END`;
/** Where lanes are no more, all of these rows are read of each on every database. */
export const FEW_LANES = 41;
/** Queues longer than their share that one poll looks deeper at. */
export const DEEPER_PER_POLL = 25;
/** Solid Queue takes a process for dead after this long without a heartbeat (process_alive_threshold, unless it was changed). */
export const ALIVE_MINUTES = 5;
/** Processes that are read. */
const PROCESSES = 1_000;

/** What a part leaves out is null. */
interface Part {
  part: string;
  key?: string;
  queue?: string;
  jobs?: string;
  marked?: string;
  at?: string;
  created_at?: string;
  last_at?: string;
  text?: string;
}

export function select(
  d: Dialect,
  { part, key, queue, jobs, marked, at, created_at, last_at, text }: Part,
): string {
  const time = (expression: string | undefined) => expression ?? d.number('NULL');
  return `SELECT '${part}' AS part, ${d.asText(key ?? 'NULL')} AS ${d.name('key')}, ${d.asText(queue ?? 'NULL')} AS queue,
         ${d.number(jobs ?? '0')} AS jobs, ${d.number(marked ?? '0')} AS marked, ${time(at)} AS ${d.name('at')},
         ${time(created_at)} AS created_at, ${time(last_at)} AS last_at, ${d.asText(text ?? 'NULL')} AS ${d.name('text')}`;
}

/** When a job was created. Walks: the primary key of jobs, once. */
export const createdAt = (d: Dialect, id: string): string =>
  `(SELECT ${d.ms('j.created_at')} FROM ${d.table('jobs')} j WHERE j.id = ${id})`;

/** A join would let the planner read all jobs instead of a few thousand by their keys. Walks: the primary key of jobs, once. */
const queueOf = (d: Dialect, id: string): string =>
  `(SELECT j.queue_name FROM ${d.table('jobs')} j WHERE j.id = ${id})`;

const marks = (condition: string) => `SUM(CASE WHEN ${condition} THEN 1 ELSE 0 END)`;

/**
 * The first jobs of a lane in claim order. A job is ready since its row was written (by its creation, the dispatcher, the end of
 * what blocked it, a release or a retry), which no index orders: `last_at` bounds what was not read. Walks: (queue_name, priority,
 * job_id). `range` picks the lane from alias r.
 */
export const lane = (
  d: Dialect,
  {
    index,
    range,
    order,
    limit,
  }: {
    index: string | null;
    range: string;
    order: string;
    limit: number | string;
  },
): string => `
  SELECT MIN(queue_name) AS queue, COUNT(*) AS jobs, MIN(created_at) AS ready_at, ${d.idOfEarliest('created_at', 'job_id')} AS oldest_id,
         MAX(job_id) AS last_id
    FROM (SELECT r.queue_name, r.job_id, r.created_at
            FROM ${d.table('ready_executions')} r${index === null ? '' : d.by(index)}
           WHERE ${range}
           ORDER BY ${order}
           LIMIT ${limit}) seen`;

/** A lane's numbers, under the alias l, as a part of the poll. `needsProof`: whether one that was not read may be ready for longer. */
export const lanePart = (d: Dialect, needsProof: string): string =>
  select(d, {
    part: 'lane',
    key: d.key('l.queue'),
    queue: 'l.queue',
    jobs: 'l.jobs',
    at: d.ms('l.ready_at'),
    created_at: createdAt(d, 'l.oldest_id'),
    last_at: `CASE WHEN ${needsProof} THEN ${createdAt(d, 'l.last_id')} END`,
  });

/** Of each queue among the ready rows that were written first, the numbers of a lane. Walks: the primary key, which keeps the order of writing. */
export const firstOfEach = (d: Dialect): string => `
  SELECT MIN(queue_name) AS queue, COUNT(*) AS jobs, MIN(created_at) AS ready_at, MAX(created_at) AS last_ready_at,
         ${d.idOfEarliest('created_at', 'job_id')} AS oldest_id
    FROM (SELECT r.queue_name, r.job_id, r.created_at FROM ${d.table('ready_executions')} r ORDER BY r.id LIMIT ${WALK}) written
   GROUP BY queue_name`;

/** Of rows that were picked from scheduled executions. A due one waits for the dispatcher: it is ready, and nobody may claim it. */
export const scheduledOf = (d: Dialect, picked: string): string => `
  ${select(d, {
    part: 'scheduled',
    key: d.key('w.queue'),
    queue: 'w.queue',
    jobs: 'w.jobs',
    marked: 'w.due',
    at: d.ms('w.due_at'),
    created_at: createdAt(d, 'w.oldest_id'),
    last_at: d.ms('w.last_due_at'),
  })}
    FROM (SELECT MIN(queue_name) AS queue, COUNT(*) AS jobs, MAX(due_at) AS last_due_at, ${marks('due_at IS NOT NULL')} AS due, MIN(due_at) AS due_at,
                 ${d.idOfEarliest('due_at', 'job_id')} AS oldest_id
            FROM (SELECT queue_name, job_id, CASE WHEN scheduled_at <= ${d.now} THEN scheduled_at END AS due_at
                    FROM (${picked}) picked) seen
           GROUP BY queue_name) w`;

export const blockedOf = (d: Dialect, picked: string): string => `
  ${select(d, { part: 'blocked', key: d.key('w.queue'), queue: 'w.queue', jobs: 'w.jobs' })}
    FROM (SELECT MIN(queue_name) AS queue, COUNT(*) AS jobs FROM (${picked}) seen GROUP BY queue_name) w`;

/** Claimed jobs, which never are many: a thread has one. Walks: the primary keys of claims, jobs and processes. */
const running = (d: Dialect): string => `
  ${select(d, {
    part: 'running',
    key: d.key('w.queue'),
    queue: 'w.queue',
    jobs: 'w.jobs',
    marked: 'w.stale',
    at: d.ms('w.oldest_at'),
    last_at: d.ms('w.newest_at'),
  })}
    FROM (SELECT MIN(queue_name) AS queue, COUNT(*) AS jobs, ${marks('stale')} AS stale,
                 MIN(CASE WHEN stale THEN NULL ELSE created_at END) AS oldest_at, MAX(created_at) AS newest_at
            FROM (SELECT ${queueOf(d, 'c.job_id')} AS queue_name, c.created_at,
                         (p.id IS NULL OR p.last_heartbeat_at <= ${d.ago(ALIVE_MINUTES)}) AS stale
                    FROM (SELECT * FROM ${d.table('claimed_executions')} ORDER BY id LIMIT ${WALK}) c
                    LEFT JOIN ${d.table('processes')} p ON p.id = c.process_id) seen
           GROUP BY queue_name) w`;

/** The newest failed jobs; no column of theirs names the queue. Walks: the primary keys of failed executions and of jobs. */
const failed = (d: Dialect): string => `
  ${select(d, { part: 'failed', key: d.key('w.queue'), queue: 'w.queue', jobs: 'w.jobs' })}
    FROM (SELECT MIN(queue_name) AS queue, COUNT(*) AS jobs
            FROM (SELECT ${queueOf(d, 'f.job_id')} AS queue_name
                    FROM (SELECT job_id FROM ${d.table('failed_executions')} ORDER BY id DESC LIMIT ${WALK}) f) seen
           GROUP BY queue_name) w`;

/** Walks: pauses and processes, a row for each paused queue and each process. */
const pauses = (d: Dialect): string => `
  ${select(d, { part: 'pause', key: d.key('queue_name'), queue: 'queue_name', last_at: d.ms('created_at') })}
    FROM ${d.table('pauses')}`;
const processes = (d: Dialect): string => `
  ${select(d, {
    part: 'process',
    queue: 'kind',
    marked: `CASE WHEN last_heartbeat_at <= ${d.ago(ALIVE_MINUTES)} THEN 1 ELSE 0 END`,
    last_at: d.ms('last_heartbeat_at'),
    text: d.left('metadata', 10_000),
  })}
    FROM ${d.table('processes')}
   ORDER BY id
   LIMIT ${PROCESSES}`;
/** The newest finish, where finished jobs are kept. Walks: (finished_at), one entry. */
const finish = (d: Dialect): string => `
  ${select(d, { part: 'finish', last_at: d.ms('finished_at') })}
    FROM (SELECT finished_at FROM ${d.table('jobs')} WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1) f`;

/** All parts but the ready jobs, to be joined by UNION ALL in brackets. Of scheduled and blocked jobs the first are taken, whatever their queue. */
export function commonParts(d: Dialect, { due, finished }: ServingIndexes): string[] {
  const scheduled = `SELECT queue_name, job_id, scheduled_at FROM ${d.table('scheduled_executions')}${due === null ? '' : d.by(due)} ORDER BY scheduled_at, priority, job_id LIMIT ${WALK}`;
  const blocked = `SELECT queue_name, job_id FROM ${d.table('blocked_executions')} ORDER BY id LIMIT ${WALK}`;
  return [
    ...[running(d), failed(d), pauses(d), processes(d)],
    ...(finished === null ? [] : [finish(d)]),
    ...[scheduledOf(d, scheduled), blockedOf(d, blocked)],
  ];
}

/** The first scheduled or blocked rows of one queue, in an index that begins with its name. `condition` picks the queue. */
export const scheduledPick = (d: Dialect, index: string, condition: string, limit: number): string =>
  `SELECT queue_name, job_id, scheduled_at FROM ${d.table('scheduled_executions')}${d.by(index)} WHERE ${condition} ORDER BY queue_name, scheduled_at LIMIT ${limit}`;
export const blockedPick = (d: Dialect, index: string, condition: string, limit: number): string =>
  `SELECT queue_name, job_id FROM ${d.table('blocked_executions')}${d.by(index)} WHERE ${condition} ORDER BY queue_name LIMIT ${limit}`;

export const clock = (d: Dialect): string => `SELECT ${d.clockMs} AS now`;
