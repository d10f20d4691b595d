// The file of the history: its tables, its migrations, and what happens to a file that cannot be used.
import { closeSync, existsSync, openSync, renameSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { HeadwayError } from '../../contract/errors.ts';

/**
 * One step a version (`user_version`); a step that has been released is never changed.
 *
 * raw, minutes, quarters and hours hold chunks (tiers.ts): `slot` is the chunk's place in time times 2^20 plus the series,
 * so that what is written together lies together, one tenant's chunk is one look-up by key, and the oldest rows
 * are the first ones. Blobs are written by bucket.ts and attempts.ts.
 */
const migrations = [
  `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  -- A series is one tenant of one connection.
  CREATE TABLE series (
    id INTEGER PRIMARY KEY, connection TEXT NOT NULL, tenant TEXT NOT NULL, UNIQUE (connection, tenant)
  ) STRICT;
  CREATE TABLE stages (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE raw (slot INTEGER PRIMARY KEY, samples BLOB, attempts BLOB) STRICT;
  CREATE TABLE minutes (slot INTEGER PRIMARY KEY, samples BLOB, attempts BLOB) STRICT;
  CREATE TABLE quarters (slot INTEGER PRIMARY KEY, samples BLOB, attempts BLOB) STRICT;
  -- Spans whose chunks are not rolled up yet, or no longer right; series up to \`done\` are.
  CREATE TABLE due (
    tier TEXT NOT NULL, span INTEGER NOT NULL, done INTEGER NOT NULL, PRIMARY KEY (tier, span)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE gaps (
    id INTEGER PRIMARY KEY, connection TEXT NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER, reason TEXT NOT NULL
  ) STRICT;
  CREATE INDEX gaps_by_time ON gaps (connection, from_ms);
  CREATE TABLE alert_events (
    seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, connection TEXT NOT NULL, event TEXT NOT NULL
  ) STRICT;
  CREATE INDEX alert_events_by_time ON alert_events (connection, at_ms);
  CREATE TABLE alerts (id TEXT PRIMARY KEY, alert TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE hours (slot INTEGER PRIMARY KEY, samples BLOB, attempts BLOB) STRICT;
  -- Hours that were rolled up before this table was there are not in it: as if they had been let go.
  INSERT INTO meta (key, value) SELECT 'hours from', (max(slot) / 1048576 + 1) * 3600000 FROM minutes
  WHERE true HAVING max(slot) IS NOT NULL;
  `,
];

/** A file that could not be used and was kept under another name. */
export interface SetAside {
  path: string;
  reason: string;
}

/**
 * Opens or creates the file, mode 0600, and takes its lock. Throws as SQLite does, and NewerSchema.
 *
 * synchronous = NORMAL: with WAL the file stays whole through a power cut, and at most the last seconds are lost.
 * That is right for a history, and saves an fsync per batch.
 */
export function openHistoryFile(path: string): DatabaseSync {
  // SQLite would create it readable by all, and gives its WAL the same mode.
  closeSync(openSync(path, 'a', 0o600));
  const db = new DatabaseSync(path, { timeout: 1000 });
  try {
    // Exclusive: two writers would each roll up what the other is still writing.
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = INCREMENTAL');
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
    if (version > migrations.length) throw new NewerSchema();
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216');
    migrations.slice(version).forEach((step, index) => {
      transaction(db, () => db.exec(`${step}; PRAGMA user_version = ${version + index + 1}`));
    });
    // Takes the lock now, and reads the schema, so that both fail here and not later.
    transaction(db, () => db.prepare('SELECT count(*) FROM meta').get());
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Why a file cannot be used and never will be; null when the reason lies outside of it. */
export function unusable(error: unknown): 'corrupt' | 'newer' | null {
  if (error instanceof NewerSchema) return 'newer';
  return isCorrupt(error) ? 'corrupt' : null;
}

/** Renames a file with its WAL, so that nothing of it is lost and nothing of it is read again. */
export function keepAside(path: string, reason: 'corrupt' | 'newer', nowMs: number): SetAside {
  const stamp = new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-');
  let aside = `${path}.${reason}-${stamp}`;
  for (let n = 2; existsSync(aside); n++) aside = `${path}.${reason}-${stamp}-${n}`;
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  const why = { corrupt: 'it is damaged', newer: 'it was written by a newer Headway' }[reason];
  return { path: aside, reason: `The history began anew: ${why}. The old file is kept as ${aside}.` };
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, whatever their extended code. */
export function isCorrupt(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return false;
  return [11, 26].includes(error.errcode & 0xff);
}

/** All of `work` or nothing of it is in the file. */
export function transaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has rolled back by itself after some errors (a full disk, for one).
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

class NewerSchema extends Error {}

/** The error of a file that could not be opened, with what to do. */
export function storageFailed(path: string, error: unknown): HeadwayError {
  const message = error instanceof Error ? error.message : String(error);
  const next = message.includes('locked')
    ? 'Another Headway has it open: close that one, or set HEADWAY_DATA to another folder for this one.'
    : 'Check that the folder can be written to and the disk is not full.';
  return new HeadwayError('storage-failed', `Cannot open the history ${path}: ${message}. ${next}`, {
    cause: error,
  });
}
