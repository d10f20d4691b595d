// The store on a real MariaDB: what every store promises, and what only a shared database can be asked.
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll } from 'vitest';
import { MysqlStore, type MysqlStoreOptions } from '../../src/main/engine/stores/mysql-store.ts';
import { storeConformance } from '../../src/main/engine/stores/store-conformance.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';

let db: MariaDb;
beforeAll(async () => {
  db = await startMariaDb();
  const root = await db.connect();
  await root.query('CREATE DATABASE jobs');
  await root.end();
});
afterAll(() => db[Symbol.asyncDispose]());

const open = (more: Partial<MysqlStoreOptions> = {}): Promise<MysqlStore> =>
  MysqlStore.open({
    host: db.host,
    port: db.port,
    user: db.rootUser,
    password: db.rootPassword,
    database: 'jobs',
    ...more,
  });

/** Setting up a database takes longer than a test: its tables are emptied instead. */
async function empty(): Promise<void> {
  const root = await db.connect('jobs');
  const [tables] = await root.query<RowDataPacket[]>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'jobs'
      AND table_name NOT IN ('headway_store', 'headway_circle')`,
  );
  await root.query(
    [
      ...tables.map(({ name }) => `DELETE FROM ${String(name)}`),
      ...(tables.length > 0 ? ['UPDATE headway_circle SET last_turn = NULL'] : ['DO 0']),
    ].join(';'),
  );
  await root.end();
}

storeConformance(
  'MysqlStore on MariaDB',
  async () => {
    await empty();
    return open();
  },
  { another: () => open(), runs: 15 },
);
