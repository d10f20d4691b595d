// BullMQ 6 on PostgreSQL as a watched system: its own program makes the tables, SQL fills them.
import { createPostgresBackend, Queue } from 'bullmq';
import { escapeLiteral } from 'pg';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { onPostgres, READER, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

const JOBS = 'bullmq.job';
const stateOf = { ready: 'waiting', delayed: 'delayed', running: 'active' } as const;
/** SQL of the time `ms` ago, and of a timestamp, as BullMQ writes it. */
const epochMs = (at: string) => `floor(extract(epoch FROM ${at}) * 1000)::bigint`;
const ago = (ms: number) => `${epochMs('clock_timestamp()')} - ${Math.round(ms)}`;
/** Jobs are numbered in the order in which they were enqueued, so that those of a test are numbered by their age. */
const placeOf = (addedAtMs: string) => `(${addedAtMs}) * 1000 + nextval('bullmq.job_seq') % 1000`;

export const bullmqSystem = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    const { host, port, user, password } = server;
    const queue = new Queue(
      'first',
      { connection: { host, port, user, password, database: 'postgres', migrate: true, max: 1 } },
      createPostgresBackend,
    );
    queue.on('error', () => undefined);
    await queue.getJobCounts();
    await queue.close();
    const clear = async () => {
      await root.query(`TRUNCATE ${JOBS}, bullmq.job_dependency, bullmq.job_log, bullmq.meta, bullmq.event`);
    };
    await clear();
    return {
      name: 'BullMQ',
      source: (options) =>
        testQueueSource({ server, system: 'bullmq', ...READER, database: 'postgres', ...options }),
      clear,
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs = 0 }) {
        await root.query(
          `INSERT INTO ${JOBS} (queue, id, seq, name, state, added_at_ms, delay_ms, process_at_ms, processed_at_ms, lock_token, locked_until_ms)
           VALUES (${escapeLiteral(tenant)}, nextval('bullmq.event_seq')::text, ${placeOf(ago(ageMs))}, 'send', '${stateOf[state]}', ${ago(ageMs)},
                   ${state === 'delayed' ? `${Math.round(ageMs + dueInMs)}, ${ago(-dueInMs)}` : '0, NULL'},
                   ${state === 'running' ? `${ago(startedAgoMs)}, 'worker-1:1', ${ago(-60_000)}` : 'NULL, NULL, NULL'})`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `INSERT INTO bullmq.meta (queue, field, value) SELECT 't' || n, 'version', 'bullmq:6' FROM generate_series(0, ${tenants - 1}) n;
           INSERT INTO ${JOBS} (queue, id, seq, name, state, added_at_ms)
           SELECT 't' || n % ${tenants}, n::text, nextval('bullmq.job_seq'), 'send', 'waiting', ${epochMs(spread(rows))}
             FROM generate_series(0, ${rows - 1}) n`,
        );
      },
      workOne: `UPDATE ${JOBS} SET state = 'completed', processed_at_ms = ${ago(0)}, finished_at_ms = ${ago(0)}
                 WHERE queue = 'a' AND id = (SELECT id FROM ${JOBS} WHERE queue = 'a' AND state = 'waiting' ORDER BY priority, seq LIMIT 1 FOR UPDATE SKIP LOCKED)`,
      // What getJobCounts asks for one queue, for all of them.
      peerQuery: `SELECT queue, state, count(*), min(added_at_ms) FROM ${JOBS} GROUP BY queue, state`,
    };
  });
