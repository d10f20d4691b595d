// Every statement that reads PostgreSQL's health. All are of the statistics views, whose size depends on sessions and watched
// tables, never on their rows. None fails for want of a grant; without pg_read_all_stats columns of others are null.

const ms = (interval: string) => `(extract(epoch FROM ${interval}) * 1000)::float8`;

/** Connections count as the server does: no helpers of its own, no replicas. A session that may not be looked at is a client's. */
export const server = `
  SELECT current_setting('max_connections')::int AS max,
         current_setting('superuser_reserved_connections')::int
           + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
         (SELECT count(*)::int FROM pg_stat_activity
           WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)) AS used,
         d.blks_hit::float8 AS hit, d.blks_read::float8 AS missed,
         quote_ident(current_user) AS account,
         pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all,
         pg_is_in_recovery() AS is_standby
    FROM pg_stat_database d
   WHERE d.datname = current_database()`;

const session = `
         a.pid::text AS pid, a.usename AS user, host(a.client_addr) AS client, a.application_name AS application,
         a.state, a.query,
         CASE WHEN a.state LIKE 'idle in transaction%' THEN ${ms('clock_timestamp() - a.xact_start')}
              ELSE ${ms('clock_timestamp() - a.query_start')} END AS for_ms`;

/** $1: process ids. */
export const sessions = `SELECT ${session} FROM pg_stat_activity a WHERE a.pid = ANY($1::int[])`;

/**
 * Sessions of this database that wait for a lock, longest first, at most 50. What a row's change waits for is another's
 * transaction; the lock on the row itself tells the table. Before PostgreSQL 14 there is no waitstart.
 */
export const lockWaits = `
  WITH waits AS (
    SELECT DISTINCT ON (l.pid) l.pid, l.locktype, l.relation,
           (to_jsonb(l) ->> 'waitstart')::timestamptz AS since
      FROM pg_locks l
      JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE NOT l.granted AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
  )
  SELECT w.pid::text AS pid, w.locktype AS type,
         pg_blocking_pids(w.pid)::text[] AS blockers,
         ${ms('clock_timestamp() - w.since')} AS for_ms,
         (SELECT format('%I.%I', n.nspname, c.relname)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.oid = coalesce(w.relation,
                   (SELECT t.relation FROM pg_locks t WHERE t.pid = w.pid AND t.locktype = 'tuple' LIMIT 1))) AS table
    FROM waits w
   ORDER BY w.since NULLS LAST
   LIMIT 50`;

/** $1: oids of watched tables. Statements that run for over a second and hold a lock on one of them, which every read does. */
export const slow = `
  SELECT ${session}
    FROM pg_stat_activity a
   WHERE a.state = 'active' AND a.pid <> pg_backend_pid() AND a.query_start < clock_timestamp() - interval '1 s'
     AND EXISTS (SELECT FROM pg_locks l
                  WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation' AND l.relation = ANY($1::oid[])
                    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
   ORDER BY a.query_start
   LIMIT 20`;

/** $1: oids of watched tables. By the statistics' own counts, which vacuum and analyse correct. */
export const deadRows = `
  SELECT format('%I.%I', n.nspname, c.relname) AS table,
         pg_stat_get_live_tuples(c.oid)::float8 AS live,
         pg_stat_get_dead_tuples(c.oid)::float8 AS dead,
         ${ms("greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) - 'epoch'")} AS vacuumed_ms
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.oid = ANY($1::oid[])
   ORDER BY pg_stat_get_dead_tuples(c.oid) DESC
   LIMIT 50`;

/**
 * What holds back vacuum in this database most: a session's snapshot or its own changes, a prepared transaction, the
 * snapshot of a replication slot or of a standby. A slot's catalog_xmin keeps rows of the catalogue only.
 */
export const horizon = `
  SELECT held.*, age(held.xmin)::float8 AS transactions
    FROM (SELECT 'session' AS kind,
                 CASE WHEN a.backend_xmin IS NULL OR age(a.backend_xid) > age(a.backend_xmin) THEN a.backend_xid
                      ELSE a.backend_xmin END AS xmin,
                 a.pid::text AS name, a.usename::text AS user, a.state, a.application_name AS application,
                 host(a.client_addr) AS client,
                 ${ms('clock_timestamp() - a.xact_start')} AS for_ms
            FROM pg_stat_activity a
           WHERE a.pid <> pg_backend_pid() AND a.backend_type IS DISTINCT FROM 'walsender'
             AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
          UNION ALL
          SELECT 'prepared', transaction, gid, owner::text, NULL, NULL, NULL, ${ms('clock_timestamp() - prepared')}
            FROM pg_prepared_xacts
           WHERE database = current_database()
          UNION ALL
          SELECT 'slot', xmin, slot_name::text, NULL, CASE WHEN active THEN 'active' ELSE 'inactive' END, NULL, NULL, NULL
            FROM pg_replication_slots
          UNION ALL
          SELECT 'standby', backend_xmin, application_name, NULL, state, NULL, NULL, NULL
            FROM pg_stat_replication) AS held
   WHERE held.xmin IS NOT NULL
   ORDER BY age(held.xmin) DESC, held.for_ms DESC NULLS LAST
   LIMIT 1`;

/** Replicas of this server, and the server itself where it is one. One that has all changes is not behind, whatever the time of the last. */
export const replicas = `
  SELECT coalesce(nullif(r.application_name, ''), host(r.client_addr), r.pid::text) AS name,
         coalesce(r.state, 'unknown') AS state,
         CASE WHEN r.replay_lsn >= CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
              THEN 0::float8 ELSE ${ms('r.replay_lag')} END AS lag_ms
    FROM pg_stat_replication r
  UNION ALL
  SELECT 'this server', 'standby',
         CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0::float8
              ELSE ${ms('clock_timestamp() - pg_last_xact_replay_timestamp()')} END
   WHERE pg_is_in_recovery()`;
