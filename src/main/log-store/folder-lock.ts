// One Headway writes to a folder. The lock is SQLite's on an empty file: the system lets go of it even after kill -9, and it is the
// same on every system.
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Holds the folder until it is closed; null while another process (or store) has it. Throws what the disk says. */
export function lockFolder(folder: string): DatabaseSync | null {
  const file = join(folder, 'lock');
  // SQLite would make it as open as the umask allows.
  closeSync(openSync(file, 'a', 0o600));
  const lock = new DatabaseSync(file);
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE;');
    return lock;
  } catch (error) {
    lock.close();
    // SQLITE_BUSY (https://www.sqlite.org/rescode.html).
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return null;
    throw error;
  }
}
