// What health and the index advisor look at: the tables of one queue, and the statements that live on them.

/** An index that a statement needs, told by its parts so that it can be looked for under any name. */
export interface WantedIndex {
  /** As SQL names it: "pgboss"."job", `postal`.`queued_messages`. */
  table: string;
  /** Columns in order, unquoted; a stored one that begins with them serves too. */
  columns: readonly string[];
  /** The condition of a partial index, as SQL; null for a whole one. PostgreSQL only. */
  where: string | null;
  /** Why, in a sentence: "A claim sorts every waiting job of the queue". */
  why: string;
}

/** A statement that the advisor explains; it is never run. */
export interface ExaminedStatement {
  /** "The claim of pg-boss", "Headway's poll". */
  name: string;
  /** With literals in place of parameters, so that it can be explained as it stands. Reads, UPDATE and DELETE alike. */
  sql: string;
  wants: readonly WantedIndex[];
  /** Headway's own: explained with the planner's settings of its session. Any other as a client of the database would run it. */
  own?: true;
}

export interface WatchedTables {
  /** As SQL names them. */
  tables: readonly string[];
  statements: readonly ExaminedStatement[];
}
