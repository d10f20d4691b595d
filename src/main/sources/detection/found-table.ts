// A table as a database's catalogue shows it, whatever the database.

export interface FoundColumn {
  name: string;
  /** As the database writes it: "timestamp with time zone", "varchar". */
  type: string;
  readable: boolean;
}

export interface FoundTable {
  /** Null in MySQL, whose databases are its schemas. */
  schema: string | null;
  name: string;
  kind: 'table' | 'view' | 'other';
  columns: readonly FoundColumn[];
  /** Row-level security hides rows from this account. */
  hidesRows: boolean;
  /** What its comment says; where a system keeps its version there. */
  comment: string | null;
}

/** "app.jobs", or "jobs" where there are no schemas. */
export const nameOf = ({ schema, name }: Pick<FoundTable, 'schema' | 'name'>): string =>
  schema === null ? name : `${schema}.${name}`;
