// What the two databases of Solid Queue say differently. Everything else of its statements is the same SQL.
import { escape } from 'mysql2';
import { escapeLiteral } from 'pg';
import { quoteName } from '../../mysql-errors.ts';
import { quotePgName } from '../../postgres-errors.ts';

export interface Dialect {
  /** A table of Solid Queue by its name without "solid_queue_". */
  table: (name: string) => string;
  name: (name: string) => string;
  text: (value: string) => string;
  /** A moment of a column as epoch ms. Rails writes UTC without a zone. */
  ms: (expression: string) => string;
  /** A whole number as one that the driver hands over as a number. */
  number: (expression: string) => string;
  /** A value as text, of whatever type. */
  asText: (expression: string) => string;
  /** The beginning of a text. */
  left: (expression: string, chars: number) => string;
  /** The moment of the statement, comparable with columns. */
  now: string;
  /** `minutes` before it. */
  ago: (minutes: number) => string;
  /** The clock at this very moment, epoch ms. */
  clockMs: string;
  /** What two names share that the database takes for the same (by its collation). */
  key: (name: string) => string;
  /** Of the rows of a group: `id` of the one with the earliest `at`. */
  idOfEarliest: (at: string, id: string) => string;
  /** Tells an index to the optimiser where it may err; empty where the statement itself leaves no choice. */
  by: (index: string) => string;
}

export const postgresDialect = (schema: string): Dialect => ({
  table: (name) => `${quotePgName(schema)}.${quotePgName(`solid_queue_${name}`)}`,
  name: quotePgName,
  text: escapeLiteral,
  ms: (expression) => `(extract(epoch FROM ${expression}) * 1000)::float8`,
  number: (expression) => `(${expression})::float8`,
  asText: (expression) => `(${expression})::text`,
  left: (expression, chars) => `left(${expression}, ${chars})`,
  now: 'statement_timestamp()',
  ago: (minutes) => `statement_timestamp() - interval '${minutes} minutes'`,
  clockMs: '(extract(epoch FROM clock_timestamp()) * 1000)::float8',
  key: (name) => `(${name})::text`,
  idOfEarliest: (at, id) => `(array_agg(${id} ORDER BY ${at}, ${id}) FILTER (WHERE ${at} IS NOT NULL))[1]`,
  by: () => '',
});

export const mysqlDialect = (database: string): Dialect => ({
  table: (name) => `${quoteName(database)}.${quoteName(`solid_queue_${name}`)}`,
  name: quoteName,
  text: (value) => escape(value),
  ms: (expression) => `(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', ${expression}) / 1000e0)`,
  number: (expression) => `(${expression}) + 0e0`,
  asText: (expression) => `CAST(${expression} AS CHAR)`,
  left: (expression, chars) => `LEFT(${expression}, ${chars})`,
  now: 'UTC_TIMESTAMP(6)',
  ago: (minutes) => `UTC_TIMESTAMP(6) - INTERVAL ${minutes} MINUTE`,
  clockMs: '(UNIX_TIMESTAMP(SYSDATE(6)) * 1000e0)',
  key: (name) => `HEX(WEIGHT_STRING(${name}))`,
  // A time as text has the order of the time.
  idOfEarliest: (at, id) =>
    `CAST(SUBSTRING_INDEX(MIN(CONCAT(${at}, '/', LPAD(${id}, 20, '0'))), '/', -1) AS UNSIGNED)`,
  by: (index) => ` FORCE INDEX (${quoteName(index)})`,
});
