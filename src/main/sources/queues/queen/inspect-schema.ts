// What a schema holds of Queen: which of its generations, what cannot be read of it, and what stands in the way.
import { HeadwayError } from '../../../../contract/errors.ts';
import { quotePgName } from '../../postgres-errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { relationRow, type RelationRow } from './rows.ts';
import { relations as relationsOf } from './schema-sql.ts';

const shared = {
  queues: [
    ...['id', 'name', 'task', 'priority', 'lease_time', 'retry_limit', 'delayed_processing', 'window_buffer'],
    ...['retention_seconds', 'retention_enabled', 'max_wait_time_seconds'],
  ],
  partitions: ['id', 'queue_id', 'name'],
  messages: ['id', 'transaction_id', 'partition_id', 'payload', 'created_at', 'is_encrypted'],
};
const needed = {
  current: {
    ...shared,
    partition_consumers: [
      ...['id', 'partition_id', 'consumer_group', 'last_consumed_id', 'last_consumed_created_at'],
      ...[
        'total_messages_consumed',
        'last_consumed_at',
        'lease_expires_at',
        'lease_acquired_at',
        'batch_size',
      ],
      ...['acked_count', 'worker_id', 'batch_retry_count'],
    ],
  },
  'of 2025': {
    ...shared,
    messages_status: ['message_id', 'consumer_group', 'status', 'failed_at', 'error_message', 'retry_count'],
    partition_leases: [
      ...['partition_id', 'consumer_group', 'lease_expires_at', 'message_batch', 'batch_size', 'acked_count'],
      ...['created_at', 'released_at'],
    ],
  },
} satisfies Record<string, Record<string, string[]>>;
/** Read where they are there and may be read. */
const optional = {
  dead_letter_queue: [
    'id',
    'message_id',
    'partition_id',
    'consumer_group',
    'error_message',
    'retry_count',
    'failed_at',
  ],
  consumer_groups_metadata: ['consumer_group', 'queue_name', 'partition_name', 'subscription_timestamp'],
  system_state: ['key', 'value', 'updated_at'],
  consumer_groups: ['queue_id', 'name', 'subscription_start_from'],
};
const withoutIt: Record<keyof typeof optional, string> = {
  dead_letter_queue: 'dead messages are not counted or listed',
  consumer_groups_metadata:
    'a group that never consumed counts from the first message, not from its subscription',
  system_state: "Queen's own pause (pop maintenance mode) is not seen",
  consumer_groups: 'groups that never consumed are not seen',
};

export interface FoundSchema {
  generation: 'current' | 'of 2025';
  /** Optional tables that can be read. */
  has: ReadonlySet<keyof typeof optional>;
  /** Whether queues may lie in another store. */
  hasStorage: boolean;
  warnings: string[];
}

/** Looks at the schema's tables. Rejects with `schema-mismatch` where they are no Queen that can be read, and says what to do. */
export async function inspectSchema(
  session: PostgresSession,
  schema: string,
  signal: AbortSignal,
): Promise<FoundSchema> {
  const relations = new Map(
    (await session.rows(relationRow, relationsOf, signal, [schema])).map((relation) => [
      relation.name,
      relation,
    ]),
  );
  const generation = relations.has('partition_consumers') ? 'current' : 'of 2025';
  const problem = problemOf(relations, schema, generation);
  if (problem !== null) throw new HeadwayError('schema-mismatch', problem);
  const names = (Object.keys(optional) as (keyof typeof optional)[]).filter(
    (name) => (name === 'consumer_groups') === (generation === 'of 2025') || name === 'dead_letter_queue',
  );
  const isWhole = (name: keyof typeof optional) =>
    optional[name].every((column) => relations.get(name)?.columns.includes(column) === true);
  const has = new Set(names.filter((name) => isWhole(name) && relations.get(name)?.readable === true));
  const lacking = generation === 'current' ? names.filter((name) => !has.has(name)) : [];
  return {
    generation,
    has,
    hasStorage: relations.get('queues')?.columns.includes('storage') === true,
    warnings: [
      ...hiddenRows([...Object.keys(needed[generation]), ...has], relations, schema),
      ...lacking.map((name) =>
        relations.get(name)?.readable === false
          ? `Table ${name} may not be read, so that ${withoutIt[name]}. An administrator runs: GRANT SELECT ON ${quotePgName(schema)}.${name} TO ….`
          : `Table ${name} is missing, as in an older Queen: ${withoutIt[name]}.`,
      ),
      ...(generation === 'current' && relations.has('messages_status')
        ? ['Tables of a Queen of 2025 are still there beside the newer ones; they are not read.']
        : []),
      ...(newerStore(relations)
        ? [
            'This is a newer Queen than Headway knows: queues in its packed store (log_ and seg_ tables) are not shown.',
          ]
        : []),
    ],
  };
}

const newerStore = (relations: ReadonlyMap<string, RelationRow>): boolean =>
  relations.has('log_partitions') || relations.has('seg_partitions');

function problemOf(
  relations: ReadonlyMap<string, RelationRow>,
  schema: string,
  generation: FoundSchema['generation'],
): string | null {
  const name = quotePgName(schema);
  if (relations.size === 0)
    return `There is no schema ${name} with tables in this database. Check the database and the schema of this connection; Queen makes its tables when its server first starts.`;
  if (!relations.has('messages')) {
    if (newerStore(relations))
      return `Schema ${name} is of a newer Queen, which packs its messages (log_ and seg_ tables): Headway reads those that keep a row a message, up to 0.15. Look for a newer Headway.`;
    return `Schema ${name} has no table messages: it is not one of Queen, or its server has not made all its tables. Check the schema of this connection, and start Queen once.`;
  }
  if (generation === 'of 2025' && !relations.has('messages_status')) {
    return relations.get('messages')?.columns.includes('status') === true
      ? `Schema ${name} is of the first Queen, which kept a status in each message: it is too old. Update Queen.`
      : `Schema ${name} has messages, but neither partition_consumers nor messages_status: a migration of Queen stopped half way. Start its server once more and look at its log.`;
  }
  const tables: Record<string, readonly string[]> = needed[generation];
  const views = Object.keys(tables).filter((table) => relations.get(table)?.is_view === true);
  if (views.length > 0)
    return `${views.join(', ')} in schema ${name} is a view: Headway walks the indexes of Queen's own tables. Name their schema in this connection.`;
  const missing = Object.entries(tables).flatMap(([table, columns]) => {
    const found = relations.get(table);
    if (found === undefined) return [`table ${table}`];
    return columns
      .filter((column) => !found.columns.includes(column))
      .map((column) => `column ${table}.${column}`);
  });
  if (missing.length === 0) return null;
  return `Schema ${name} is not a whole Queen: ${missing.join(', ')} missing. A migration may have stopped half way: start Queen's server once more and look at its log.`;
}

function hiddenRows(
  tables: readonly string[],
  relations: ReadonlyMap<string, RelationRow>,
  schema: string,
): string[] {
  const hidden = tables.filter((name) => relations.get(name)?.hidden === true);
  if (hidden.length === 0) return [];
  const policies = hidden.map(
    (name) => `CREATE POLICY headway_reads ON ${quotePgName(schema)}.${name} FOR SELECT TO … USING (true)`,
  );
  return [
    `Row-level security hides rows of ${hidden.join(', ')} from this account, so that counts are too low, or zero. An administrator runs ALTER ROLE … BYPASSRLS, or ${policies.join('; ')}.`,
  ];
}
