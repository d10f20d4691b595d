// What was found in the schema: whether it is a BullMQ that can be read, and what the engineer should know about it. Pure.
import { quotePgName } from '../../postgres-errors.ts';
import * as sql from './poll-sql.ts';
import type { IndexRow, QueueRow, RelationRow } from './rows.ts';

/** The newest migration that this reader was checked against: that of BullMQ 6.7. */
const KNOWN_VERSION = 11;
const KNOWN_MAJOR = 6;
/** Queues that a warning names. */
const NAMED = 5;

/** What keeps these relations from being a BullMQ that can be read, and what to do; null when nothing does. */
export function mismatch(relations: readonly RelationRow[], schema: string): string | null {
  const found = new Map(relations.map((relation) => [relation.name, relation]));
  const in_ = `Schema ${quotePgName(schema)}`;
  const names = Object.keys(sql.NEEDED_COLUMNS);
  const absent = names.filter((name) => !found.has(name));
  if (relations.length === 0)
    return `There is no schema ${quotePgName(schema)} with tables in this database. Check the database and the schema of this connection; BullMQ makes its tables when its migrations are run.`;
  if (absent.length > 0) {
    return found.has('migration')
      ? `${in_} has no ${absent.join(', ')}: BullMQ’s migrations have not all been run. Run them (runMigrations, or migrate: true).`
      : `${in_} has no ${absent.join(', ')}. Check the schema of this connection.`;
  }
  const views = names.filter((name) => !['r', 'p'].includes(found.get(name)?.kind ?? ''));
  if (views.length > 0)
    return `${in_} has views in place of ${views.join(', ')}, whose rows cannot be walked by an index. Connect to the schema that holds the tables.`;
  const columns = Object.entries(sql.NEEDED_COLUMNS).flatMap(([name, needed]) =>
    needed
      .filter((column) => found.get(name)?.columns.includes(column) !== true)
      .map((column) => `${name}.${column}`),
  );
  if (columns.length === 0) return null;
  return `${in_} is of a BullMQ that Headway does not know: ${columns.join(', ')} missing. It reads BullMQ 6; check the schema, or look for a newer Headway.`;
}

/** The indexes of BullMQ that are there, under any name. */
export function indexesFound(indexes: readonly IndexRow[]): Set<sql.IndexName> {
  const names = Object.keys(sql.INDEXES) as sql.IndexName[];
  return new Set(
    names.filter((name) => {
      const { columns, states } = sql.INDEXES[name];
      return indexes.some(
        (index) =>
          columns.every((column, at) => index.columns[at] === column) &&
          (index.condition === null || statesOf(index.condition)?.join() === [...states].sort().join()),
      );
    }),
  );
}

/** The states that a condition on nothing else lists; null for any other condition. */
function statesOf(condition: string): string[] | null {
  if (!/^\(\(?"?state"? = (ANY \()?/.test(condition) || / (AND|OR) /.test(condition)) return null;
  return [...condition.matchAll(/'([a-z-]+)'::/g)].map(([, state]) => state ?? '').sort();
}

interface Found {
  schema: string;
  /** Null: not readable, or no migration has run. */
  version: number | null;
  /** The oldest major version of BullMQ that may work with the schema. */
  client: number | null;
  relations: readonly RelationRow[];
  has: ReadonlySet<sql.IndexName>;
}

export function lastingWarnings({ schema, version, client, relations, has }: Found): string[] {
  const hidden = relations.filter(({ name, hidden }) => hidden && name in sql.NEEDED_COLUMNS);
  const names = hidden.map(({ name }) => name).join(', ');
  const policies = hidden.map(
    ({ name }) =>
      `CREATE POLICY headway_reads ON ${quotePgName(schema)}.${quotePgName(name)} FOR SELECT TO … USING (true)`,
  );
  const lost: Record<sql.IndexName, string> = {
    waiting: 'Waiting jobs are not counted, and their lag is not known',
    delayed: 'Delayed jobs are not counted',
    active: 'Running jobs are not counted',
    finished: 'Failed jobs are not counted',
    blocked: 'Jobs that wait for their children are not counted',
  };
  return [
    ...(hidden.length === 0
      ? []
      : [
          `Row-level security hides rows of ${names} from this account, so that counts are too low, or zero. An administrator runs ALTER ROLE … BYPASSRLS, or ${policies.join('; ')}.`,
        ]),
    ...((version ?? 0) > KNOWN_VERSION || (client ?? 0) > KNOWN_MAJOR
      ? [
          `Its schema version ${version ?? 'unknown'} is newer than ${KNOWN_VERSION}, the last that Headway knows: check the numbers, and look for a newer Headway.`,
        ]
      : []),
    ...(Object.keys(sql.INDEXES) as sql.IndexName[])
      .filter((name) => !has.has(name))
      .map(
        (name) =>
          `${lost[name]} for want of an index that BullMQ’s migrations make: ${sql.indexDdl(schema, name)}.`,
      ),
  ];
}

/** What passes: too many queues, and limits that hold jobs back although workers are free. */
export function passingWarnings(queues: readonly QueueRow[], more: boolean, nowMs: number): string[] {
  const limits = queues.flatMap((queue) => {
    const { max, points, expire_at_ms: untilMs, concurrency } = queue;
    const isReached =
      max !== null && points !== null && untilMs !== null && untilMs > nowMs && points >= Number(max);
    return [
      ...(max === null
        ? []
        : [
            `${queue.queue} starts at most ${max} per ${queue.duration_ms ?? '?'} ms${isReached ? ' (reached now)' : ''}`,
          ]),
      ...(concurrency === null ? [] : [`${queue.queue} runs at most ${concurrency} at once`]),
    ];
  });
  const rest = limits.length > NAMED ? `; and ${limits.length - NAMED} more limits` : '';
  return [
    ...(more ? [`Only the first ${sql.QUEUES} queues by name are polled; no more are watched.`] : []),
    ...(limits.length === 0
      ? []
      : [`Jobs may wait although workers are free: ${limits.slice(0, NAMED).join('; ')}${rest}.`]),
  ];
}
