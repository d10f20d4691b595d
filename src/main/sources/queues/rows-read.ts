// How many rows a poll reads, measured in the poll's own session and never told by the reader itself.
import { z } from 'zod';
import { relationRow, watchedRelations } from '../health/watched-oids.ts';
import type { WatchedTables } from '../health/watched-tables.ts';
import type { MysqlSession } from '../mysql-session.ts';
import type { PostgresSession } from '../postgres-session.ts';

/** Begins to count; what it returns ends it. Null where it could not be measured. */
export type CountRows<S> = (
  session: S,
  watched: () => Promise<WatchedTables>,
  signal: AbortSignal,
) => Promise<() => Promise<number | null>>;

/** The server hands a session's counts in when it rests, at most so often, unless it is told to; then they are gone from here. */
const HANDED_IN_AFTER_MS = 1_000;
/** New partitions and indexes are looked for again. */
const RELATIONS_KEPT_MS = 60_000;

/**
 * The counts of this session are handed in now. The catalogue's small table is read so that there is something to hand in:
 * only then does the server begin its second anew.
 */
const handIn = `
  SELECT pg_stat_force_next_flush(), (SELECT count(*) FROM pg_catalog.pg_am),
         current_setting('track_counts')::boolean AS counts`;
const handInRow = z.object({ counts: z.boolean() });

/** $1: oids. What this session has read of them since it last handed in its counts. Reads no table. */
const readSince = `
  SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::float8 AS rows
    FROM unnest($1::oid[]) AS relations (oid)`;
const readRow = z.object({ rows: z.int().nonnegative() });

const FIRST_VERSION = 15;

/**
 * PostgreSQL: rows of the watched tables that sequential scans returned and entries that index scans did, before any filter: what
 * MySQL's handler counts for the same plans. Reads of the catalogue are left out. A poll that takes a second or more
 * is not measured, because part of its counts may have been handed in; nor is any before PostgreSQL 15, which cannot be
 * told to hand them in. (PostgreSQL 15: pgstat_report_stat, PGSTAT_MIN_INTERVAL.)
 */
export function postgresRowsRead(now: () => number): CountRows<PostgresSession> {
  const known = new WeakMap<PostgresSession, { oids: string[]; atMs: number }>();
  return async (session, watched, signal) => {
    if (Number.parseInt(session.version, 10) < FIRST_VERSION) return () => Promise.resolve(null);
    let relations = known.get(session);
    if (relations === undefined || now() - relations.atMs > RELATIONS_KEPT_MS) {
      const { tables } = await watched();
      const rows = await session.rows(relationRow, watchedRelations, signal, [tables]);
      relations = { oids: rows.map(({ oid }) => oid), atMs: now() };
      known.set(session, relations);
    }
    const { oids } = relations;
    const beganMs = now();
    const { counts } = await session.row(handInRow, handIn, signal);
    if (!counts || oids.length === 0) return () => Promise.resolve(null);
    return async () => {
      const { rows } = await session.row(readRow, readSince, signal, [oids]);
      const tookMs = now() - beganMs;
      return tookMs >= 0 && tookMs < HANDED_IN_AFTER_MS ? rows : null;
    };
  };
}

/** What this session has read so far. Reads no rows itself on MariaDB, and the list of counters on MySQL. */
const handlerReads = `SHOW SESSION STATUS LIKE 'Handler_read%'`;
const statusRow = z.object({ Value: z.coerce.number() });

/** MySQL and MariaDB: rows and index entries that the storage engine's handler read for this session. */
export function mysqlRowsRead(): CountRows<MysqlSession> {
  const reads = async (session: MysqlSession, signal: AbortSignal) => {
    const rows = await session.rows(statusRow, handlerReads, signal);
    return rows.reduce((sum, { Value }) => sum + Value, 0);
  };
  return async (session, _watched, signal) => {
    const before = await reads(session, signal);
    return async () => Math.max(0, (await reads(session, signal)) - before);
  };
}
