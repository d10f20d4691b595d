// How a GoodJob job is held, and how its process is known to live, as SQL. From its AdvisoryLockable, Job and Process.
import { table, type GoodJobTables } from './tables.ts';

/** A process writes itself anew every 30 s; one that did so within this long lives, whatever its locks. */
const FRESH_SECONDS = 60;
/** GoodJob takes a process without an advisory lock for dead after this long. */
export const EXPIRED_MINUTES = 5;

/** As its clients write it: the first 64 bits of an MD5 of the table and the id. */
const lockKey = (text: string): string => `('x' || substr(md5(${text}), 1, 16))::bit(64)::bigint`;

/** Advisory locks of this database, as the keys that were given. Everybody may see them. Walks: the table of locks, once. */
export const advisoryLocks = `
  SELECT (l.classid::bigint << 32) | l.objid::bigint AS key
    FROM pg_catalog.pg_locks l
   WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())`;

/** Whether a session holds the job `j`. `locks` is the relation of `advisoryLocks`. */
export const jobIsLocked = (j: string, locks = 'locks'): string =>
  `${lockKey(`'good_jobs-' || ${j}.active_job_id::text`)} IN (SELECT key FROM ${locks})`;

/** Whether somebody works the job `j`: since 4.0 its row says so, before only a lock does. */
export const isHeld = ({ locksByRow }: GoodJobTables, j: string): string =>
  locksByRow ? `${j}.locked_by_id IS NOT NULL` : jobIsLocked(j);

/** Processes with whether they live: by their advisory lock, or by their last sign of life. */
export const processes = ({ schema, processesHaveLockType }: GoodJobTables, limit: number): string => {
  const locked = `${lockKey(`'good_job_processes-' || p.id::text`)} IN (SELECT key FROM locks)`;
  const fresh = (interval: string) => `p.updated_at > statement_timestamp() - interval '${interval}'`;
  const byLock = `(${locked} OR ${fresh(`${FRESH_SECONDS} seconds`)})`;
  return `
  SELECT p.id, p.updated_at, p.state, ${processesHaveLockType ? 'p.lock_type IS NOT NULL' : 'true'} AS by_lock,
         ${processesHaveLockType ? `CASE WHEN p.lock_type IS NULL THEN ${fresh(`${EXPIRED_MINUTES} minutes`)} ELSE ${byLock} END` : byLock} AS lives
    FROM (SELECT * FROM ${table(schema, 'good_job_processes')} ORDER BY id LIMIT ${limit}) p`;
};

/** A job that a row says is held, by nobody that lives. `p` is its process, if there is one. */
export const isStale = (j: string): string => `(p.lives IS NOT TRUE AND NOT ${jobIsLocked(j)})`;
