// Queen 0.15 as a watched system: one queue, each tenant a partition of it, and consumers without a group.
import { escapeLiteral } from 'pg';
import { testQueueSource } from '../../integration/queue-source-fixture.ts';
import { createQueen, QUEUE_MODE } from '../queen-schema.ts';
import { ago, onPostgres, READER, spread } from './postgres-system.ts';
import type { WatchedSystem } from './system.ts';

const QUEUE = 'orders';
/** A message is due so long after its creation: Queen delays whole queues, not single messages. */
const DELAY_MS = 3_600_000;
/** A lease holds the first messages past the cursor: those that run are older than all others. */
const RUNNING_AGE_MS = 24 * 3_600_000;
/** Of version 7, in the order of creation. */
const idAt = (at: string) =>
  `(lpad(to_hex((extract(epoch FROM ${at}) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8' || substr(md5(random()::text), 1, 15))::uuid`;
const partition = (name: string) =>
  `(SELECT p.id FROM queen.partitions p JOIN queen.queues q ON q.id = p.queue_id WHERE q.name = '${QUEUE}' AND p.name = ${name})`;
const createQueue = (delayMs: number) =>
  `INSERT INTO queen.queues (name, delayed_processing) VALUES ('${QUEUE}', ${delayMs / 1_000})
   ON CONFLICT (name) DO UPDATE SET delayed_processing = EXCLUDED.delayed_processing`;

export const queenSystem = (): Promise<WatchedSystem> =>
  onPostgres(async (server, root) => {
    await createQueen(root, 'current');
    // They slow the filling down, and no poll walks them.
    await root.query(
      'DROP INDEX queen.messages_partition_transaction_unique; ALTER TABLE queen.messages DROP CONSTRAINT messages_partition_id_fkey',
    );
    return {
      name: 'Queen',
      source: (options) =>
        testQueueSource({ server, system: 'queen', ...READER, database: 'postgres', ...options }),
      tenantId: (tenant) => `${QUEUE}/${tenant.replaceAll('%', '%25').replaceAll('/', '%2F')}`,
      async clear() {
        await root.query('TRUNCATE queen.queues CASCADE; TRUNCATE queen.messages CASCADE');
      },
      async put({ tenant, state, ageMs, dueInMs = -ageMs, startedAgoMs = 0 }) {
        const name = escapeLiteral(tenant);
        const at = ago(state === 'running' ? RUNNING_AGE_MS + ageMs : DELAY_MS - dueInMs);
        await root.query(
          `${createQueue(DELAY_MS)};
           INSERT INTO queen.partitions (queue_id, name) SELECT id, ${name} FROM queen.queues WHERE name = '${QUEUE}' ON CONFLICT DO NOTHING;
           INSERT INTO queen.partition_consumers (partition_id) VALUES (${partition(name)}) ON CONFLICT DO NOTHING;
           INSERT INTO queen.messages (id, transaction_id, partition_id, payload, created_at)
           SELECT ${idAt('at')}, gen_random_uuid(), ${partition(name)}, '{}', at FROM (SELECT ${at} AS at) moment`,
        );
        if (state !== 'running') return;
        await root.query(
          `UPDATE queen.partition_consumers
              SET batch_size = batch_size + 1, worker_id = 'worker-1', lease_acquired_at = ${ago(startedAgoMs)},
                  lease_expires_at = ${ago(-300_000)}
            WHERE partition_id = ${partition(name)}`,
        );
      },
      async fill(rows, tenants) {
        await root.query(
          `${createQueue(0)};
           INSERT INTO queen.partitions (queue_id, name) SELECT q.id, 't' || n FROM queen.queues q, generate_series(0, ${tenants - 1}) n;
           INSERT INTO queen.partition_consumers (partition_id) SELECT id FROM queen.partitions;
           INSERT INTO queen.messages (id, transaction_id, partition_id, payload, created_at)
           SELECT ${idAt('at')}, n::text, p.id, '{}', at
             FROM generate_series(0, ${rows - 1}) n
             JOIN queen.partitions p ON p.name = 't' || n % ${tenants}
            CROSS JOIN LATERAL (SELECT ${spread(rows)} AS at) moment`,
        );
      },
      workOne: `UPDATE queen.partition_consumers c
                   SET last_consumed_id = next.id, last_consumed_created_at = next.created_at, last_consumed_at = now(),
                       total_messages_consumed = total_messages_consumed + 1
                  FROM (SELECT m.id, m.created_at FROM queen.messages m, queen.partition_consumers c
                         WHERE m.partition_id = ${partition(`'a'`)} AND c.partition_id = m.partition_id
                           AND (m.created_at, m.id) > (coalesce(c.last_consumed_created_at, '-infinity'), c.last_consumed_id)
                         ORDER BY m.created_at, m.id LIMIT 1) next
                 WHERE c.partition_id = ${partition(`'a'`)} AND c.consumer_group = '${QUEUE_MODE}'`,
      // As its dashboard counts what is pending, by the cursors.
      peerQuery: `SELECT c.partition_id, c.consumer_group, count(*), min(m.created_at)
                    FROM queen.messages m JOIN queen.partition_consumers c ON c.partition_id = m.partition_id
                   WHERE c.last_consumed_created_at IS NULL OR (m.created_at, m.id) > (c.last_consumed_created_at, c.last_consumed_id)
                   GROUP BY c.partition_id, c.consumer_group`,
    };
  });
