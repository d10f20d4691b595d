// What a poll of Solid Queue says on MySQL and MariaDB alone: queues and lanes by loose index scans, lanes by bracketed limits.
import { escape } from 'mysql2';
import { quoteName } from '../../mysql-errors.ts';
import { mysqlDialect, type Dialect } from './dialect.ts';
import {
  blockedOf,
  blockedPick,
  commonParts,
  lane,
  lanePart,
  LANES,
  QUEUES,
  scheduledOf,
  scheduledPick,
} from './poll-sql.ts';
import type { LaneRow } from './rows.ts';
import type { Found, Statements } from './statements.ts';
import { PREFIX, type ServingIndexes } from './tables.ts';

/** Looks that one statement takes. */
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
  const dialect = mysqlDialect(database);
  return {
    dialect,
    indexes,
    queues: queues(dialect, indexes),
    lanes: lanes(dialect, indexes),
    poll: (found) => poll(dialect, indexes, found),
    rowsRead: `SHOW SESSION STATUS LIKE 'Handler_read%'`,
    ddl: (table, columns) =>
      `CREATE INDEX headway_${columns[0] ?? ''} ON ${dialect.table(table)} (${columns.join(', ')}) ALGORITHM=INPLACE LOCK=NONE`,
  };
};

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

/** All numbers of a poll, in statements of bearable size. Only what one statement tells is of one moment. */
function poll(d: Dialect, indexes: ServingIndexes, found: Found): string[] {
  const inLane = ({ name, priority }: LaneRow) => `
  (${lanePart(d, found.limit)}
    FROM (${lane(d, {
      index: indexes.lanes,
      range: `r.queue_name = ${d.text(name)} AND r.priority = ${priority}`,
      order: 'r.job_id',
      limit: found.limit,
    })}) l)`;
  const { dueByQueue, blockedByQueue } = indexes;
  const named = (name: string) => `queue_name = ${d.text(name)}`;
  const side = (of: typeof blockedOf, pick: (name: string) => string) =>
    chunks(found.queues).map((names) => of(d, names.map((name) => `(${pick(name)})`).join(' UNION ALL ')));
  return [
    commonParts(d, indexes)
      .map((part) => `(${part})`)
      .join('\n  UNION ALL'),
    ...chunks(found.lanes).map((own) => own.map(inLane).join('\n  UNION ALL')),
    ...(dueByQueue === null ? [] : side(scheduledOf, (name) => scheduledPick(d, dueByQueue, named(name)))),
    ...(blockedByQueue === null
      ? []
      : side(blockedOf, (name) => blockedPick(d, blockedByQueue, named(name)))),
  ];
}

function chunks<T>(values: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < values.length; at += LOOKS) parts.push(values.slice(at, at + LOOKS));
  return parts;
}
