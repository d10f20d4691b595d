// The tables of the SQLite store, as numbered migrations: entry n brings user_version from n to n + 1.
import type { DatabaseSync } from 'node:sqlite';
import { HeadwayError } from '../../../contract/errors.ts';
import { versionOne } from './sqlite-schema-1.ts';
import { versionTwo } from './sqlite-schema-2.ts';

/** "HdwQ": tells our files from other programs' (PRAGMA application_id). */
const APPLICATION_ID = 0x48647751;

const migrations = [versionOne, versionTwo];

/** Brings the file up to date; refuses a file that is not ours or that a newer version wrote. */
export function migrate(db: DatabaseSync, file: string): void {
  const version = versionOf(db, file);
  for (const [from, sql] of migrations.entries()) {
    if (from < version) continue;
    db.exec(
      `BEGIN; ${sql} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${from + 1}; COMMIT;`,
    );
  }
}

/** For one who only reads: refuses also a file that an older version left behind. */
export function refuseOtherVersions(db: DatabaseSync, file: string): void {
  const version = versionOf(db, file);
  if (version === migrations.length) return;
  throw new HeadwayError(
    'schema-mismatch',
    `${file} is a job store of an older Headway (store version ${version}, this one knows ${migrations.length}); ` +
      'let an engine of this version open it once.',
  );
}

/** Before anything is written: refuses a file that is not ours or that a newer version wrote, and answers its version. */
export function versionOf(db: DatabaseSync, file: string): number {
  const pragma = (name: string): unknown => Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0];
  const version = Number(pragma('user_version'));
  const isEmpty = db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (!isEmpty && pragma('application_id') !== APPLICATION_ID) {
    throw new HeadwayError('schema-mismatch', `${file} is not a job store of Headway; name another file.`);
  }
  if (version > migrations.length) {
    throw new HeadwayError(
      'schema-mismatch',
      `${file} was written by a newer Headway (store version ${version}, this one knows ${migrations.length}); update Headway.`,
    );
  }
  return version;
}
