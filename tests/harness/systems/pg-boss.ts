// pg-boss as a watched system: its own program makes the tables and the queues, SQL fills them.
import { escapeLiteral } from 'pg';
import { PgBoss } from 'pg-boss';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { ago, onPostgres, READER, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

const stateOf = { ready: 'created', delayed: 'created', running: 'active' } as const;

export const pgBossSystem = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    const { host, port, user, password } = server;
    const boss = new PgBoss({
      host,
      port,
      user,
      password,
      database: 'postgres',
      supervise: false,
      schedule: false,
    });
    boss.on('error', () => undefined);
    await boss.start();
    await boss.stop({ graceful: false });
    const createQueue = (name: string) => `pgboss.create_queue(${name}, '{"policy": "standard"}')`;
    return {
      name: 'pg-boss',
      source: (options) =>
        testQueueSource({ server, system: 'pg-boss', ...READER, database: 'postgres', ...options }),
      async clear() {
        await root.query('TRUNCATE pgboss.job; DELETE FROM pgboss.queue');
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs }) {
        const name = escapeLiteral(tenant);
        await root.query(
          `SELECT ${createQueue(name)} WHERE NOT EXISTS (SELECT FROM pgboss.queue WHERE name = ${name})`,
        );
        await root.query(
          `INSERT INTO pgboss.job (name, state, created_on, start_after, started_on)
           VALUES (${name}, '${stateOf[state]}', ${ago(ageMs)}, ${ago(-dueInMs)},
                   ${startedAgoMs === undefined ? 'NULL' : ago(startedAgoMs)})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(`SELECT ${createQueue("'t' || n")} FROM generate_series(0, ${tenants - 1}) n`);
        await root.query(
          `INSERT INTO pgboss.job (name, created_on, start_after)
           SELECT 't' || n % ${tenants}, at, at
             FROM generate_series(0, ${rows - 1}) n CROSS JOIN LATERAL (SELECT ${spread(rows)} AS at) moment`,
        );
      },
      workOne: `UPDATE pgboss.job SET state = 'completed', completed_on = now()
                 WHERE id = (SELECT id FROM pgboss.job WHERE state < 'active' AND start_after <= now() LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      // What its own monitor runs to refresh the cached counts, in short.
      peerQuery: 'SELECT name, state, count(*), min(start_after) FROM pgboss.job GROUP BY name, state',
    };
  });
