// What was seen of one table before its columns are given meanings.
import type { DatabaseType } from '../../../contract/queue-systems.ts';

export interface LookedColumn {
  name: string;
  /** As the database writes it. */
  type: string;
  nullable: boolean;
  /** As the database writes it: "'queued'::text", "0". */
  defaultValue: string | null;
  /** Empty without one. */
  comment: string;
  /** Values that its enum type or a check allows; null where it takes any. */
  allowed: readonly string[] | null;
  isEnum: boolean;
}

export interface TableLook {
  database: DatabaseType;
  /** As a mapping names it: "jobs", "app.jobs". */
  table: string;
  /** Quoted, for statements that a person may run. */
  quotedName: string;
  columns: readonly LookedColumn[];
  /** In their order. */
  primaryKey: readonly string[];
  /** Columns that an index starts with. */
  indexed: readonly string[];
}

/** Values of the state column in the rows that were looked at, with the most attempts of a job in each. */
export interface SeenState {
  state: string;
  attempts: number | null;
}

/** Rows looked at, and values told. */
export const NEWEST_ROWS = 5_000;
export const FIRST_ROWS = 10_000;
export const VALUES = 50;
