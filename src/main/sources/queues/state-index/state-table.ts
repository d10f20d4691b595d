// Systems that keep every job in one table, with a word for its state, under an index by state, queue, priority and scheduled
// time: River and Oban. What differs between them is said here; the statements and what they prove are the same.
import { quotePgName } from '../../postgres-errors.ts';

/** Such a system's table as it was found in one schema. Expressions are SQL over a row `j`. */
export interface StateTable {
  /** "River" */
  system: string;
  schema: string;
  /** Unquoted. */
  tableName: string;
  /** The type of the state column, unquoted; it lies in the same schema. */
  stateType: string;
  states: StateWords;
  /** States of jobs that nobody waits for any more. */
  doneWords: readonly string[];
  columns: {
    createdAt: string;
    kind: string;
    args: string;
    /** When a dead job died. */
    diedAt: string;
    /** When a job ended in whatever way; an expression. */
    endedAt: string;
  };
  /** Whether an available job is left alone until its scheduled time. */
  claimsDueOnly: boolean;
  /** The database's clock in the type of the table's times. */
  now: string;
  /** When a waiting job became, or will become, free to start. Never before its scheduled time. */
  readyAt: string;
  /** Whether a claim takes an available job at all, whenever. */
  claimable: string;
  /** Who runs it, as text. */
  owner: string;
  /** A job that runs for longer is taken back by the system, unless it was told otherwise. */
  staleAfterMs: number;
  /** Whether an index leads from the dead to when they died. */
  hasDiedIndex: boolean;
  /** Whether an index leads from the completed to when they ended. */
  hasEndedIndex: boolean;
  /** Columns that this account may read, in the table's order. */
  readable: readonly { name: string; type: string }[];
}

/** The system's words; one that this version of the schema lacks is null. */
export interface StateWords {
  available: string;
  /** Made available by the system when their time has come. */
  waiting: readonly string[];
  running: string;
  dead: string;
  completed: string;
  /** Waits for other jobs. */
  blocked: string | null;
  /** Waits for somebody. */
  held: string | null;
}

/** The columns of the index that everything here walks. */
export const INDEX_COLUMNS = ['state', 'queue', 'priority', 'scheduled_at', 'id'] as const;

export const jobsTable = ({ schema, tableName }: Pick<StateTable, 'schema' | 'tableName'>): string =>
  `${quotePgName(schema)}.${quotePgName(tableName)}`;

/** The statement that makes the index anew. */
export const mainIndex = (table: Pick<StateTable, 'schema' | 'tableName'>): string =>
  `CREATE INDEX CONCURRENTLY ON ${jobsTable(table)} (${INDEX_COLUMNS.join(', ')})`;

/** A time as epoch milliseconds; a timestamp without zone is in UTC in these tables. */
export const ms = (time: string): string => `extract(epoch FROM ${time})::float8 * 1000`;

/** A state as the type of its column. */
export const stateLiteral = (word: string): string => `'${word.replaceAll("'", "''")}'`;
