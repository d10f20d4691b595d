import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, it } from 'vitest';
import { seededRandom } from '../../../core/seeded-random.ts';
import type { Claim } from '../job.ts';
import { SqliteStore } from './sqlite-store.ts';
import { storeConformance } from './store-conformance.ts';

const folders: string[] = [];
const freshFile = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'headway-store-'));
  folders.push(folder);
  return join(folder, 'queue.db');
};
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

storeConformance('the SQLite store in a file', () =>
  Promise.resolve(SqliteStore.open({ file: freshFile() })),
);
storeConformance('the SQLite store in memory', () => Promise.resolve(SqliteStore.inMemory()), { runs: 150 });
