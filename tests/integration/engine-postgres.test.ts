// The store on a real PostgreSQL: what every store promises, and what only this one does.
import { afterAll, beforeAll } from 'vitest';
import { storeConformance } from '../../src/main/engine/stores/store-conformance.ts';
import { PostgresStore } from '../../src/main/engine/stores/postgres-store.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';

let server: Postgres;
let schemas = 0;
beforeAll(async () => {
  server = await startPostgres();
}, 30_000);
afterAll(() => server[Symbol.asyncDispose]());

const address = () => ({
  host: server.host,
  port: server.port,
  user: server.user,
  password: server.password,
  database: 'postgres',
});
const open = (schema: string) => PostgresStore.open({ ...address(), schema });

storeConformance('PostgreSQL', () => open(`s${++schemas}`), { another: () => open(`s${schemas}`) });
