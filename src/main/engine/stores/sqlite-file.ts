// The file of a SQLite store: opened by one engine at a time, read by anyone, and what its failures mean to a person.
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import { versionOf } from './sqlite-schema.ts';

/** Pages of 4 KB in the log before it is copied into the file: fewer copies, each of pages that were changed many times. */
const CHECKPOINT_PAGES = 4_000;

/** Durable at every commit: a power cut loses nothing that was answered. */
const DURABLE = `
  PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000;
  PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32000;`;

/** Opens or creates the file, alone. `fresh`: what it held is worthless. Throws `conflict` while another engine has it. */
export function openToWork(file: string, fresh: boolean): { db: DatabaseSync; lock: DatabaseSync } {
  const lock = lockFile(file);
  try {
    if (fresh) for (const tail of ['', '-wal', '-shm']) rmSync(file + tail, { force: true });
    const db = openDurable(file);
    return { db, lock };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** `:memory:` or a file that this process has locked. */
export function openDurable(file: string): DatabaseSync {
  const db = new DatabaseSync(file);
  try {
    // First, because the journal's mode is written into the file, and another's is left as it is.
    versionOf(db, file);
    db.exec(DURABLE);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** For reading only: another process may be working on it. */
export function openToRead(file: string): DatabaseSync {
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    db.exec('PRAGMA busy_timeout = 5000');
    return db;
  } catch (cause) {
    throw new HeadwayError(
      'file-missing',
      `${file} cannot be read: ${messageOf(cause)}. Check the path and its permissions.`,
      {
        cause,
      },
    );
  }
}

/**
 * Holds `FILE.lock` for this process until it is closed; the system lets go of it even after kill -9. A file of its
 * own, so that others may still read the store.
 */
function lockFile(file: string): DatabaseSync {
  const lock = new DatabaseSync(`${file}.lock`);
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE;');
    return lock;
  } catch (cause) {
    lock.close();
    throw new HeadwayError(
      'conflict',
      `Another engine works on ${file}; stop the other Headway, or give this one a folder of its own.`,
      { retryable: true, cause },
    );
  }
}

const sqliteError = z.object({ code: z.literal('ERR_SQLITE_ERROR'), errcode: z.int(), message: z.string() });
/** Primary result codes of SQLite (https://www.sqlite.org/rescode.html). */
const WHAT_TO_DO: Record<number, string> = {
  5: 'Another process keeps it locked; close what else has it open.',
  8: 'It cannot be written to; check its permissions.',
  10: 'The disk failed; check the system’s log, then start again.',
  11: 'It is damaged; put it aside and start with a new one, or restore it from a copy.',
  13: 'The disk is full; make space there. Nothing was lost, and work goes on by itself.',
  14: 'Its folder cannot be written to; check that it exists, and its permissions.',
  26: 'It is no SQLite file; name another one.',
};

/** A failure of SQLite as one of Headway's that names the file; anything else as it is. */
export function storageError(thrown: unknown, file: string): unknown {
  const known = sqliteError.safeParse(thrown);
  if (!known.success) return thrown;
  const { errcode, message } = known.data;
  const advice = WHAT_TO_DO[errcode & 0xff];
  // A broken statement or constraint is a bug, not the disk's fault.
  if (advice === undefined) return thrown;
  return new HeadwayError('storage-failed', `${file}: ${message}. ${advice}`, {
    retryable: true,
    cause: thrown,
  });
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
