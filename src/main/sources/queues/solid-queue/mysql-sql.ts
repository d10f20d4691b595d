// What a poll of Solid Queue says on MySQL and MariaDB alone: queues and lanes by loose index scans, lanes by bracketed limits.
import { escape } from 'mysql2';
import { z } from 'zod';
import { estimate, type Count } from '../../../../core/count.ts';
import { quoteName } from '../../mysql-errors.ts';
import { mysqlDialect, type Dialect } from './dialect.ts';
import {
  blockedOf,
  blockedPick,
  commonParts,
  createdAt,
  FEW_LANES,
  firstOfEach,
  lane,
  laneLimit,
  lanePart,
  LANES,
  QUEUES,
  scheduledOf,
  scheduledPick,
  select,
  WHOLE_LANE,
} from './poll-sql.ts';
import { laneRow, partRow, type LaneRow, type PartRow } from './rows.ts';
import type { Ask, LanesRead, Statements } from './statements.ts';
import { PREFIX, type ServingIndexes } from './tables.ts';

/** Queues that one statement looks at by an index of theirs. */
const LOOKS = 100;

const inDatabase = (database: string, alias: string) =>
  `${alias}.TABLE_SCHEMA = ${escape(database)} AND LEFT(${alias}.TABLE_NAME, ${PREFIX.length}) = '${PREFIX}'`;

/** Tables with their columns in order. Walks: information_schema; rows that the account may not see are not there. */
export const columns = (database: string): string => `
  SELECT c.TABLE_NAME AS table_name, c.COLUMN_NAME AS column_name, t.TABLE_TYPE = 'BASE TABLE' AS is_table
    FROM information_schema.COLUMNS c
    JOIN information_schema.TABLES t USING (TABLE_SCHEMA, TABLE_NAME)
   WHERE ${inDatabase(database, 'c')}
   ORDER BY c.TABLE_NAME, c.ORDINAL_POSITION`;

/** Columns of B-tree indexes in order; one of which only the beginning is indexed is null. */
export const indexes = (database: string): string => `
  SELECT TABLE_NAME AS table_name, INDEX_NAME AS name, CASE WHEN SUB_PART IS NULL THEN COLUMN_NAME END AS column_name
    FROM information_schema.STATISTICS s
   WHERE ${inDatabase(database, 's')} AND INDEX_TYPE = 'BTREE'
   ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX`;

/** Tells an absent table from one that is not granted. Reads no row. */
export const touch = (database: string, table: string): string =>
  `SELECT 1 FROM ${quoteName(database)}.${quoteName(table)} LIMIT 0`;

export const mysqlStatements = (database: string, indexes: ServingIndexes): Statements => {
  const d = mysqlDialect(database);
  const { dueByQueue, blockedByQueue } = indexes;
  const common = union(commonParts(d, indexes));
  const named = (name: string) => `queue_name = ${d.text(name)}`;
  const ofEach = (of: typeof blockedOf, pick: (name: string) => string) => (names: readonly string[]) =>
    chunks(names).map((some) => of(d, union(some.map(pick))));
  return {
    dialect: d,
    indexes,
    queues: queues(d, indexes),
    poll: (ask, lastLanes) => readPoll(d, indexes, ask, { common, lastLanes }),
    examples: [
      { name: 'Headway’s poll', sql: common, walks: 'finished' },
      { name: 'Headway’s list of queues and priorities', sql: lanes(d, indexes), walks: 'lanes' },
      {
        name: 'Headway’s look at the ready jobs of a queue',
        sql: wholeLane(d, indexes, { name: 'default', priority: 0 }),
        walks: 'lanes',
      },
      {
        name: 'Headway’s look at the ready jobs of many queues',
        sql: manyLanes(d, indexes, laneLimit(LANES)),
        walks: 'lanes',
      },
    ],
    scheduledOfEach:
      dueByQueue === null
        ? null
        : (names, limit) =>
            ofEach(scheduledOf, (name) => scheduledPick(d, dueByQueue, named(name), limit))(names),
    blockedOfEach:
      blockedByQueue === null
        ? null
        : (names, limit) =>
            ofEach(blockedOf, (name) => blockedPick(d, blockedByQueue, named(name), limit))(names),
    depths: (ask, names) => depths(d, indexes, ask, names),
    rowsRead: `SHOW SESSION STATUS LIKE 'Handler_read%'`,
    ddl: (table, columns) =>
      `CREATE INDEX headway_${columns[0] ?? ''} ON ${d.table(table)} (${columns.join(', ')}) ALGORITHM=INPLACE LOCK=NONE`,
  };
};

const union = (parts: readonly string[]): string => parts.map((part) => `(${part})`).join('\n  UNION ALL ');
const loosely = (index: string | null) =>
  index === null ? '' : ` FORCE INDEX FOR GROUP BY (${quoteName(index)})`;

/** Queues that have jobs, done ones included while they are kept. Walks: (queue_name, …) of jobs, loosely. */
const queues = (d: Dialect, { queues: index }: ServingIndexes): string => `
  SELECT ${d.key('queue_name')} AS ${d.name('key')}, queue_name AS name
    FROM (SELECT queue_name FROM ${d.table('jobs')}${loosely(index)} GROUP BY queue_name LIMIT ${QUEUES + 1}) walked`;

/** Lanes that have ready jobs. Walks: (queue_name, priority, job_id), loosely. */
const lanes = (d: Dialect, { lanes: index }: ServingIndexes): string => `
  SELECT queue_name AS name, priority
    FROM (SELECT queue_name, priority FROM ${d.table('ready_executions')}${loosely(index)}
           GROUP BY queue_name, priority LIMIT ${LANES + 1}) walked`;

/** The first jobs of one lane, all of them read. Walks: (queue_name, priority, job_id), an entry and its row a job. */
const wholeLane = (d: Dialect, { lanes: index }: ServingIndexes, { name, priority }: LaneRow): string => `
  ${lanePart(d, `l.jobs >= ${WHOLE_LANE}`)}
    FROM (${lane(d, {
      index,
      range: `r.queue_name = ${d.text(name)} AND r.priority = ${priority}`,
      order: 'r.job_id',
      limit: WHOLE_LANE,
    })}) l`;

/**
 * Every lane in one statement, where a bracket for each would be planned for longer than it runs: whether it has `limit` jobs, by
 * entries alone; then the first one and the creation of the second, before which no other can have become ready; of a shorter
 * one all. A correlated look takes no other range than a whole lane, which is why no more of it is read by its
 * place. Walks: (queue_name, priority, job_id), loosely, then `limit` entries a lane; the primary key of jobs twice.
 */
function manyLanes(d: Dialect, indexes: ServingIndexes, limit: number): string {
  const ready = d.table('ready_executions');
  const inLane = (what: string) =>
    `SELECT ${what} FROM ${ready} r${indexes.lanes === null ? '' : d.by(indexes.lanes)} WHERE r.queue_name = q.name AND r.priority = q.priority`;
  const place = (nth: number) => `ORDER BY r.job_id LIMIT 1 OFFSET ${nth - 1}`;
  // A time as text has the order of the time.
  const first = `CONCAT(r.created_at, '/', LPAD(r.job_id, 20, '0'))`;
  const part = (n: number) => `SUBSTRING_INDEX(SUBSTRING_INDEX(l.found, '/', ${n}), '/', -1)`;
  return `
  ${select(d, {
    part: 'lane',
    key: d.key('l.name'),
    queue: 'l.name',
    jobs: part(1),
    at: d.ms(`CAST(${part(2)} AS DATETIME(6))`),
    created_at: createdAt(d, `CAST(${part(3)} AS UNSIGNED)`),
    last_at: `CASE WHEN l.second_id IS NOT NULL THEN ${createdAt(d, 'l.second_id')} END`,
  })}
    FROM (SELECT q.name,
                 CASE WHEN q.is_long THEN (${inLane(`CONCAT('${limit}/', ${first})`)} ${place(1)})
                      ELSE (${inLane(`CONCAT(COUNT(*), '/', MIN(${first}))`)}) END AS found,
                 CASE WHEN q.is_long THEN (${inLane('r.job_id')} ${place(2)}) END AS second_id
            FROM (SELECT q.name, q.priority, (${inLane('1')} ${place(limit)}) IS NOT NULL AS is_long
                    FROM (${lanes(d, indexes)}) q
                   LIMIT ${LANES + 1}) q
           LIMIT ${LANES + 1}) l`;
}

const firstRow = z.object({
  ...{ key: z.string(), queue: z.string(), jobs: z.number() },
  ...{ ready_at: z.number(), last_ready_at: z.number(), oldest_id: z.coerce.number() },
});
const createdRow = z.object({ id: z.coerce.number(), at: z.number() });

/** Only what one statement tells is of one moment. */
async function readPoll(
  d: Dialect,
  indexes: ServingIndexes,
  ask: Ask,
  { common, lastLanes }: { common: string; lastLanes: number | null },
): Promise<LanesRead> {
  const read = await readLanes(d, indexes, ask, lastLanes);
  const rows = [...read.rows, ...(await readFirst(d, ask, read.rows)), ...(await ask(partRow, common))];
  return { ...read, rows };
}

/** Where lanes were many they are looked at as they are found, with the share that was theirs a poll ago. */
async function readLanes(
  d: Dialect,
  indexes: ServingIndexes,
  ask: Ask,
  lastLanes: number | null,
): Promise<LanesRead> {
  if (lastLanes !== null && lastLanes > FEW_LANES) {
    const limit = laneLimit(lastLanes);
    const rows = await ask(partRow, manyLanes(d, indexes, limit));
    return { rows, lanes: rows.length, laneLimit: limit };
  }
  const found = await ask(laneRow, lanes(d, indexes));
  if (found.length === 0) return { rows: [], lanes: 0, laneLimit: WHOLE_LANE };
  if (found.length > FEW_LANES) return readLanes(d, indexes, ask, found.length);
  const rows = await ask(partRow, union(found.map((each) => wholeLane(d, indexes, each))));
  return { rows, lanes: found.length, laneLimit: WHOLE_LANE };
}

/** Of what was written first, how far that reaches, and the queues whose lanes do not show it. */
async function readFirst(d: Dialect, ask: Ask, inLanes: readonly PartRow[]): Promise<PartRow[]> {
  const first = await ask(
    firstRow,
    `
  SELECT ${d.key('w.queue')} AS ${d.name('key')}, w.queue, ${d.number('w.jobs')} AS jobs, ${d.ms('w.ready_at')} AS ready_at,
         ${d.ms('w.last_ready_at')} AS last_ready_at, w.oldest_id
    FROM (${firstOfEach(d)}) w`,
  );
  const shown = new Map<string | null, number>();
  for (const { key, at } of inLanes) {
    if (at !== null && at < (shown.get(key) ?? Infinity)) shown.set(key, at);
  }
  const older = first.filter(({ key, ready_at }) => ready_at < (shown.get(key) ?? Infinity));
  const created =
    older.length === 0
      ? []
      : await ask(
          createdRow,
          `SELECT j.id, ${d.ms('j.created_at')} AS at FROM ${d.table('jobs')} j WHERE j.id IN (${older.map(({ oldest_id }) => oldest_id).join(', ')})`,
        );
  const createdOf = new Map(created.map(({ id, at }) => [id, at]));
  const nothing = {
    ...{ key: null, queue: null, jobs: 0, marked: 0 },
    ...{ at: null, created_at: null, last_at: null, text: null },
  };
  return [
    {
      ...nothing,
      part: 'horizon',
      jobs: first.reduce((sum, { jobs }) => sum + jobs, 0),
      last_at:
        first.length === 0
          ? null
          : first.reduce((last, each) => Math.max(last, each.last_ready_at), -Infinity),
    },
    ...older.map(({ key, queue, ready_at, oldest_id }): PartRow => ({
      ...nothing,
      ...{ part: 'first', key, queue, at: ready_at, created_at: createdOf.get(oldest_id) ?? null },
    })),
  ];
}

const explainRow = z.object({
  id: z.number().nullable(),
  rows: z.union([z.number(), z.string().transform(Number)]).nullable(),
});

/** The optimiser's estimates, for which it looks at a few pages of (queue_name, priority, job_id). Reads no rows. */
async function depths(
  d: Dialect,
  { lanes: index }: ServingIndexes,
  ask: Ask,
  names: readonly string[],
): Promise<Map<string, Count>> {
  const by = index === null ? '' : d.by(index);
  const parts = names.map(
    (name) => `SELECT 1 FROM ${d.table('ready_executions')}${by} WHERE queue_name = ${d.text(name)}`,
  );
  const found = new Map<string, Count>();
  for (const { id, rows } of await ask(explainRow, `EXPLAIN ${parts.join('\n  UNION ALL ')}`)) {
    // EXPLAIN numbers the parts of a UNION from 1, in their order.
    const name = id === null ? undefined : names[id - 1];
    if (name !== undefined && rows !== null) found.set(name, estimate(rows));
  }
  return found;
}

function chunks<T>(values: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < values.length; at += LOOKS) parts.push(values.slice(at, at + LOOKS));
  return parts;
}
