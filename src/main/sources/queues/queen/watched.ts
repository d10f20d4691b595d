// What lives on Queen's tables: its pop, and what Headway reads.
import type { WantedIndex, WatchedTables } from '../../health/watched-tables.ts';
import { waiting } from './look-sql.ts';
import { consumers } from './poll-sql.ts';
import { NO_MESSAGE, QUEUE_MODE, table, type Dialect } from './schema-sql.ts';

export function watchedTables(dialect: Dialect): WatchedTables {
  const { schema, hasDeadLetters, hasSubscriptions } = dialect;
  const messages = table(schema, 'messages');
  const byCursor: WantedIndex = {
    table: messages,
    columns: ['partition_id', 'created_at', 'id'],
    where: null,
    why: "A pop reads a partition's messages past a cursor, in order, and would sort all of them for want of an index",
  };
  const byGroup: WantedIndex = {
    table: table(schema, 'partition_consumers'),
    columns: ['partition_id', 'consumer_group'],
    where: null,
    why: 'A pop looks for the cursor and the lease of its group in each partition',
  };
  const [after, queue, partition] = [`'${NO_MESSAGE}'`, `'orders'`, `'Default'`];
  return {
    tables: [
      ...[
        table(schema, 'queues'),
        table(schema, 'partitions'),
        messages,
        table(schema, 'partition_consumers'),
      ],
      ...(hasSubscriptions ? [table(schema, 'consumer_groups_metadata')] : []),
      ...(hasDeadLetters ? [table(schema, 'dead_letter_queue')] : []),
    ],
    statements: [
      {
        name: "Queen's look for the messages of a pop",
        sql: `SELECT m.id, m.transaction_id, m.trace_id, m.payload, m.created_at FROM ${messages} m
 WHERE m.partition_id = ${after}::uuid AND (m.created_at, m.id) > ('2026-01-01 00:00:00+00'::timestamptz, ${after}::uuid)
 ORDER BY m.created_at, m.id LIMIT 10`,
        wants: [byCursor],
      },
      {
        name: "Queen's lease of a partition",
        sql: `UPDATE ${table(schema, 'partition_consumers')}
   SET lease_acquired_at = now(), lease_expires_at = now() + interval '300 seconds', worker_id = 'w', batch_size = 10, acked_count = 0
 WHERE partition_id = ${after}::uuid AND consumer_group = '${QUEUE_MODE}' AND (lease_expires_at IS NULL OR lease_expires_at <= now())`,
        wants: [byGroup],
      },
      {
        name: "Headway's poll of ten partitions",
        own: true,
        sql: consumers(dialect, 10, 20).replaceAll('$1', after).trim(),
        wants: [byCursor, byGroup],
      },
      {
        name: "Headway's list of waiting messages",
        own: true,
        sql: [queue, partition, `'-infinity'`, after, `''`, '100']
          .reduce(
            (statement, value, i) => statement.replaceAll(`$${i + 1}`, value),
            waiting(dialect, 'ready'),
          )
          .trim(),
        wants: [byCursor, byGroup],
      },
    ],
  };
}
