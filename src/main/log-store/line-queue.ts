// Lines on their way to the writer: gathered by connection, bounded, and counted where the bound does not hold them.
import type { LogLine } from '../../contract/logs.ts';
import { oneLine } from './record.ts';
import type { Batch } from './store-messages.ts';

/** Characters that wait or are being written; a disk that is slower than the logs must not fill the memory. */
const MOST_CHARACTERS = 32_000_000;
/** What a line costs besides its text. */
const LINE_CHARACTERS = 100;

interface Gathered {
  sources: Map<string, number>;
  lines: Batch['lines'];
  texts: string[];
}

export class LineQueue {
  readonly #gathered = new Map<string, Gathered>();
  readonly #dropped = new Map<string, number>();
  #size = 0;
  #onTheWay = 0;

  add(connectionId: string, lines: readonly LogLine[], mayBeOld: boolean): void {
    let gathered = this.#gathered.get(connectionId);
    if (gathered === undefined) {
      gathered = { sources: new Map(), lines: [], texts: [] };
      this.#gathered.set(connectionId, gathered);
    }
    for (const { readAtMs, atMs, kind, level, source, text } of lines) {
      const size = text.length + LINE_CHARACTERS;
      if (this.#size + this.#onTheWay + size > MOST_CHARACTERS) {
        this.#drop(connectionId, 1);
        continue;
      }
      this.#size += size;
      const label = oneLine(source);
      let number = gathered.sources.get(label);
      if (number === undefined) gathered.sources.set(label, (number = gathered.sources.size));
      gathered.lines.push({ readAtMs, atMs, kind, level, source: number, mayBeOld });
      gathered.texts.push(oneLine(text));
    }
  }

  /** All that was gathered; it is on its way until `arrived` or `lost` is told of its size. */
  take(): { batches: Batch[]; size: number } {
    const batches = [...this.#gathered]
      .filter(([, { lines }]) => lines.length > 0)
      .map(([connectionId, { sources, lines, texts }]) => ({
        connectionId,
        sources: [...sources.keys()],
        lines,
        text: texts.join('\n'),
      }));
    const size = this.#size;
    this.#gathered.clear();
    this.#size = 0;
    this.#onTheWay += size;
    return { batches, size };
  }

  arrived(size: number): void {
    this.#onTheWay -= size;
  }

  lost(batches: readonly Batch[], size: number): void {
    this.#onTheWay -= size;
    for (const { connectionId, lines } of batches) this.#drop(connectionId, lines.length);
  }

  /** Lines of a connection that were never handed over, or to no avail. */
  droppedOf(connectionId: string): number {
    return this.#dropped.get(connectionId) ?? 0;
  }

  forget(connectionId: string): void {
    this.#gathered.delete(connectionId);
    this.#dropped.delete(connectionId);
  }

  #drop(connectionId: string, count: number): void {
    this.#dropped.set(connectionId, this.droppedOf(connectionId) + count);
  }
}
