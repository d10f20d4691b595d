// Hands lines over in batches, at most one every 100 ms; a full batch makes the reader wait, so nothing is dropped.
import type { ParsedLine } from './log-events.ts';

const INTERVAL_MS = 100;
/** With one batch every 100 ms: 20,000 lines a second before the host is held back. */
const MAX_LINES = 2_000;

export class LineBatches {
  #deliver: (lines: ParsedLine[]) => void;
  #lines: ParsedLine[] = [];
  #timer: NodeJS.Timeout | null = null;
  #room: PromiseWithResolvers<undefined> | null = null;

  constructor(deliver: (lines: ParsedLine[]) => void) {
    this.#deliver = deliver;
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** Takes the line in any case; when the batch is full, the promise tells when there is room again. */
  add(line: ParsedLine): Promise<undefined> | null {
    this.#lines.push(line);
    this.#timer ??= setTimeout(() => this.flush(), INTERVAL_MS);
    if (this.#lines.length < MAX_LINES) return null;
    this.#room ??= Promise.withResolvers<undefined>();
    return this.#room.promise;
  }

  /** Hands over what is there now. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0) this.#deliver(lines);
    this.#room?.resolve(undefined);
    this.#room = null;
  }
}
