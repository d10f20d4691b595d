// The claims that are out, as they are needed to end them. A copy of what the file says, so that the end of a job is one
// statement; a claim that is not here (from before a restart) is read from the file.
import type { WritingStatements } from './sqlite-statements.ts';

export interface RunningClaim {
  lane: number;
  fence: number;
  owner: string;
  /** Rows of it stand in other tables too. */
  hasMore: boolean;
}

interface RunningRow {
  lane: number;
  fence: number;
  owner: string;
  has_more: number;
}

export class RunningClaims {
  readonly #sql: WritingStatements;
  readonly #known = new Map<number, RunningClaim>();

  constructor(sql: WritingStatements) {
    this.#sql = sql;
  }

  set(id: number, claim: RunningClaim): void {
    this.#known.set(id, claim);
  }

  get(id: number): RunningClaim | null {
    const known = this.#known.get(id);
    if (known) return known;
    // Our own statement on a STRICT table.
    const row = this.#sql.running.get(id) as RunningRow | undefined;
    return row ? { lane: row.lane, fence: row.fence, owner: row.owner, hasMore: row.has_more !== 0 } : null;
  }

  /** Others wait for it now. */
  markParent(id: number): void {
    const known = this.#known.get(id);
    if (known) known.hasMore = true;
  }

  delete(id: number): void {
    this.#known.delete(id);
  }

  /** The transaction was undone: the file knows better. */
  forget(): void {
    this.#known.clear();
  }
}
