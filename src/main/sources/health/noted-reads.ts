// Reads of which each may be refused without the others: what is missing is noted instead.
import { refusalOf } from './refusal.ts';

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
      const refusal = refusalOf(error);
      const isDenied = /denied|privilege|permission/i.test(refusal);
      const why = isDenied && grant !== undefined ? `An administrator runs ${grant}.` : refusal;
      this.note(`${what} cannot be read. ${why}`);
      return otherwise;
    }
  }
}
