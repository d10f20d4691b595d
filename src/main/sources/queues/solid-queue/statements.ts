// What a reader of Solid Queue asks of its database, whichever it is.
import type { z } from 'zod';
import type { Count } from '../../../../core/count.ts';
import type { QueueSession } from '../queue-reader.ts';
import type { Dialect } from './dialect.ts';
import type { PartRow } from './rows.ts';
import type { ServingIndexes, TableName } from './tables.ts';

/** Both databases' sessions fit. */
export interface SqlSession extends QueueSession {
  rows: <R extends z.ZodType>(row: R, sql: string, signal: AbortSignal) => Promise<z.infer<R>[]>;
  row: <R extends z.ZodType>(row: R, sql: string, signal: AbortSignal) => Promise<z.infer<R>>;
}
/** Asks the session of a poll. */
export type Ask = <R extends z.ZodType>(row: R, sql: string) => Promise<z.infer<R>[]>;

/** What was read of all lanes, and of all else. */
export interface LanesRead {
  rows: PartRow[];
  /** How many there are: one more than LANES stands for any number of them. */
  lanes: number;
  /** Rows of a lane that were read at most. */
  laneLimit: number;
}

export interface Statements {
  dialect: Dialect;
  indexes: ServingIndexes;
  queues: string;
  /** The numbers of a poll, by as few statements as the database allows. `lastLanes`: how many lanes the last one found, where known. */
  poll: (ask: Ask, lastLanes: number | null) => Promise<LanesRead>;
  /** Statements of a poll, for the index advisor. */
  examples: { name: string; sql: string; walks: 'finished' | 'lanes' }[];
  /** Scheduled and blocked jobs of each of `queues` by an index that leads to them; yields rows of `partRow`. */
  scheduledOfEach: ((queues: readonly string[], limit: number) => string[]) | null;
  blockedOfEach: ((queues: readonly string[], limit: number) => string[]) | null;
  /** Ready jobs of a few queues, beyond what a poll reads of a lane. */
  depths: (ask: Ask, queues: readonly string[]) => Promise<Map<string, Count>>;
  /** What this session has read so far, as a sum of `Value`; null where the server does not tell cheaply. */
  rowsRead: string | null;
  /** Makes the statement that creates an index. */
  ddl: (table: TableName, columns: readonly string[]) => string;
}
