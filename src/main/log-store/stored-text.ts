// A record of the store as a line again. Its timing is read when it is asked for: most filters never do.
import type { StoredLine } from '../../contract/log-search.ts';
import type { LogLevel } from '../../contract/logs.ts';
import type { FilterLine } from '../../core/log-filter.ts';
import type { TimingRecord } from '../../core/timing.ts';
import { readTiming } from '../logs/read-timing.ts';
import { decodeHead, type Head } from './record.ts';

// eslint-disable-next-line no-control-regex -- all that is not ASCII
const BEYOND_ASCII = /[^\x00-\x7f]/;

export class StoredText implements FilterLine {
  readonly head: Head;
  readonly source: string;
  readonly text: string;
  #timing: TimingRecord | null | undefined;

  private constructor(head: Head, source: string, text: string) {
    this.head = head;
    this.source = source;
    this.text = text;
  }

  /**
   * The record in `latin1` between two places, without its line end; the same bytes stand in `bytes` from `offset` on. Null for what
   * is no record: damage is passed over.
   */
  static of(
    latin1: string,
    from: number,
    to: number,
    bytes: Buffer,
    offset: number,
    sources: readonly string[],
  ): StoredText | null {
    const tab = latin1.indexOf('\t', from);
    if (tab < 0 || tab >= to) return null;
    const head = decodeHead(latin1.slice(from, tab));
    if (head === null) return null;
    const plain = latin1.slice(tab + 1, to);
    const text = BEYOND_ASCII.test(plain) ? bytes.toString('utf8', offset + tab + 1, offset + to) : plain;
    return new StoredText(head, sources[head.source] ?? '(unknown)', text);
  }

  get level(): LogLevel | null {
    return this.head.level;
  }

  get timing(): TimingRecord | null {
    if (this.#timing === undefined) {
      const found = this.head.kind === 'line' ? readTiming(this.text) : 'none';
      this.#timing = typeof found === 'object' ? found.record : null;
    }
    return this.#timing;
  }

  /** As it is sent. */
  line(segment: number, offset: number): StoredLine {
    const { readAtMs, atMs, kind, level } = this.head;
    const { source, text, timing } = this;
    return { at: `${segment}:${offset}`, readAtMs, atMs, source, kind, level, text, timing };
  }
}
