// What a reader of Solid Queue asks of its database, whichever it is.
import type { z } from 'zod';
import type { QueueSession } from '../queue-reader.ts';
import type { Dialect } from './dialect.ts';
import type { LaneRow } from './rows.ts';
import type { ServingIndexes, TableName } from './tables.ts';

/** Both databases' sessions fit. */
export interface SqlSession extends QueueSession {
  rows: <R extends z.ZodType>(row: R, sql: string, signal: AbortSignal) => Promise<z.infer<R>[]>;
  row: <R extends z.ZodType>(row: R, sql: string, signal: AbortSignal) => Promise<z.infer<R>>;
}

/** What a poll found to look at. */
export interface Found {
  lanes: readonly LaneRow[];
  /** Rows of a lane that are read at most. */
  limit: number;
  /** Names of the watched queues. */
  queues: readonly string[];
}

export interface Statements {
  dialect: Dialect;
  indexes: ServingIndexes;
  queues: string;
  lanes: string;
  /** Yields rows of `partRow`, one statement after another. */
  poll: (found: Found) => string[];
  /** What this session has read so far, as a sum of `Value`; null where the server does not tell cheaply. */
  rowsRead: string | null;
  /** Makes the statement that creates an index. */
  ddl: (table: TableName, columns: readonly string[]) => string;
}
