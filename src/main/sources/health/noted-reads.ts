// Reads of which each may be refused without the others: what is missing is noted instead.
import { HeadwayError } from '../../../contract/errors.ts';

/** Refusals that say nothing about the next read. After any other the session is of no use. */
const passing: readonly string[] = ['grant-missing', 'schema-mismatch', 'budget-exceeded', 'internal'];

export class NotedReads {
  readonly #notes = new Set<string>();

  get notes(): string[] {
    return [...this.#notes];
  }

  note(text: string): void {
    this.#notes.add(text);
  }

  /** What `read` yields, or `otherwise` with a note: `what` is not known. `grant`: the one that is most likely missing. */
  async read<T>(what: string, otherwise: T, read: () => Promise<T>, grant?: string): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof HeadwayError) || !passing.includes(error.code)) throw error;
      const refused = /denied|privilege|permission/i.test(error.message);
      const why = refused && grant !== undefined ? `An administrator runs ${grant}.` : error.message;
      this.note(`${what} cannot be read. ${why}`);
      return otherwise;
    }
  }
}
