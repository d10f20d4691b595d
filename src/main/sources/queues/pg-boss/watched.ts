// What lives on pg-boss's tables: its claim as its workers send it, its search for expired jobs, and what Headway reads.
import { escapeLiteral } from 'pg';
import type { ExaminedStatement, WantedIndex, WatchedTables } from '../../health/watched-tables.ts';
import { quotePgName } from '../../postgres-errors.ts';
import { indexFor } from './job-lists.ts';
import { list, type BossList } from './look-sql.ts';
import type { QueueRow } from './rows.ts';
import { limitsOf, running, waiting, type Dialect } from './sql.ts';

/** Tables whose statements are examined. */
const TABLES = 10;
const PAGE = 100;

/** `queues`: of every table one is taken for all. */
export function watchedTables(dialect: Dialect, queues: readonly QueueRow[]): WatchedTables {
  const name = (table: string) => `${quotePgName(dialect.schema)}.${quotePgName(table)}`;
  const firsts = [...Map.groupBy(queues, ({ jobs_table }) => jobs_table).values()].flatMap(([first]) =>
    first ? [first] : [],
  );
  return {
    tables: [name('queue'), ...firsts.map(({ jobs_table }) => name(jobs_table))],
    // Small tables lack nothing.
    statements: firsts
      .toSorted((a, b) => sizeRank(b) - sizeRank(a))
      .slice(0, TABLES)
      .flatMap((queue) => statementsOn(dialect, queue, name(queue.jobs_table))),
  };
}

const isSmall = ({ running: access }: QueueRow): boolean => access === 'scan';
const sizeRank = (queue: QueueRow): number => (queue.bearable ? 0 : 2) + (isSmall(queue) ? 0 : 1);

function statementsOn(dialect: Dialect, queue: QueueRow, table: string): ExaminedStatement[] {
  const wanted = (what: BossList, why: string): WantedIndex[] => {
    const { columns, where } = indexFor(what);
    return isSmall(queue) ? [] : [{ table, columns, where, why }];
  };
  // The index of claims is pg-boss's own since schema version 40; where it is, the one before it is not missed.
  const forWaiting = queue.by_claim
    ? []
    : wanted('ready', 'A claim, and every poll, reads all jobs of the queue to find those that wait');
  const forRunning = wanted(
    'running',
    'pg-boss’s search for expired jobs, and Headway’s look at running ones, read all jobs of the queue',
  );
  const names = [queue.name];
  const part = { table: queue.read_table, access: queue.by_claim ? 'claim' : 'due', names } as const;
  const first = { from: [], after: null };
  const page = { size: PAGE, limit: PAGE };
  const of = `of queue ${queue.name}`;
  return [
    { name: `The claim of pg-boss ${of}`, sql: claim(dialect, queue, table), wants: forWaiting },
    {
      name: `pg-boss’s search for expired jobs ${of}`,
      sql: expired(dialect, queue, table),
      wants: forRunning,
    },
    ...(queue.waiting === 'none'
      ? []
      : [
          {
            name: `Headway’s poll of waiting jobs ${of}`,
            own: true as const,
            sql: waiting(dialect, queue.read_table, queue.waiting, names, limitsOf(1)).trim(),
            wants: forWaiting,
          },
        ]),
    {
      name: `Headway’s poll of running jobs ${of}`,
      own: true as const,
      sql: running(dialect, queue.read_table, 'index', names, limitsOf(1)).trim(),
      wants: forRunning,
    },
    {
      name: `Headway’s list of ready jobs ${of}`,
      own: true as const,
      sql: list(dialect, 'ready', [part], first, page).trim(),
      wants: forWaiting,
    },
    {
      name: `Headway’s list of failed jobs ${of}`,
      own: true as const,
      sql: list(dialect, 'dead', [{ ...part, access: 'index' }], first, page).trim(),
      wants: wanted('dead', 'A list of the queue’s failed jobs reads all of its jobs'),
    },
  ];
}

/** As fetchNextJob of pg-boss's plans, for one job; its clock is the database's. */
function claim({ jobColumns }: Dialect, { name }: QueueRow, table: string): string {
  const blocked = jobColumns.has('blocked') ? ' AND NOT j.blocked' : '';
  const beat = jobColumns.has('heartbeat_on') ? ', heartbeat_on = now()' : '';
  return `WITH next AS (
  SELECT j.id FROM ${table} j
   WHERE j.name = ${text(name)} AND j.state < 'active'${blocked} AND j.start_after <= now()
   ORDER BY j.priority DESC, j.created_on
   LIMIT 1
   FOR UPDATE OF j SKIP LOCKED)
UPDATE ${table} j
   SET state = 'active', started_on = now()${beat},
       retry_count = CASE WHEN started_on IS NOT NULL THEN retry_count + 1 ELSE retry_count END
  FROM next
 WHERE j.name = ${text(name)} AND j.id = next.id
RETURNING j.id, j.name, j.data`;
}

/** As the condition of failJobsByTimeout. */
function expired({ jobColumns }: Dialect, { name }: QueueRow, table: string): string {
  const after = jobColumns.has('expire_seconds') ? `expire_seconds * interval '1s'` : 'expire_in';
  return `SELECT id FROM ${table}
 WHERE state = 'active' AND started_on + ${after} < now() AND name = ANY (ARRAY[${text(name)}])`;
}

const text = (value: string): string => escapeLiteral(value).trim();
