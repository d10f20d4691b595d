// The log lines of one connection as the window shows them. Lines arrive behind the painter; while somebody reads
// (scrolled up, a line chosen) the rows stand still and what is new waits, counted.
import type { WireError } from '../../../contract/errors.ts';
import type { LogLine, LogStats } from '../../../contract/logs.ts';
import { isBad } from '../format/log-line.ts';
import type { Backend } from './backend.ts';
import { LogBook } from './log-book.ts';
import type { Histogram, LogRow } from './log-book.ts';
import { parseLogFilter } from '../../../core/log-filter.ts';
import type { LogFilter } from '../../../core/log-filter.ts';
import type { Painter } from './painter.svelte.ts';

const CAPACITY = 10_000;
/** The scale of the bars moves seldom: a bar must not change its length while one looks at it. */
const SCALE_EVERY_PAINTS = 20;
/** The histogram counts all lines held; in a frame of its own it makes no other one long. */
const SUMMARY_EVERY_PAINTS = 5;
/** More lines than this in one paint are a log at speed. */
const FAST_LINES = 20;

export interface LogRange {
  lines: number;
  first: LogLine;
  last: LogLine;
}

export class LogsState {
  rows = $state.raw<readonly LogRow[]>([]);
  filter = $state.raw<LogFilter>(parseLogFilter(''));
  following = $state(true);
  /** Lines that passed the filter since following stopped. */
  waiting = $state(0);
  stats = $state.raw<LogStats | null>(null);
  histogram = $state.raw<Histogram | null>(null);
  /** What the window holds; null before the first line. */
  range = $state.raw<LogRange | null>(null);
  /** Full length of a bar. */
  scaleMs = $state(1_000);
  /** Where lines come from, in the order they were first seen. */
  sources = $state.raw<readonly string[]>([]);
  chosen = $state.raw<LogRow | null>(null);
  detail = $state(false);
  known = $state(false);
  error = $state.raw<WireError | null>(null);
  readonly chosenIndex: number = $derived.by(() => {
    const key = this.chosen?.key;
    return key === undefined ? -1 : indexOfKey(this.rows, key);
  });

  readonly #painter: Painter;
  readonly #nameOf: (tenantId: string) => string | undefined;
  readonly #book: LogBook;
  #incoming: LogLine[] = [];
  #nextStats: LogStats | null = null;
  #nextWaiting = 0;
  #paints = 0;
  #scaledRows = 0;
  readonly #unsubscribe: () => void;
  readonly #paint = (): void => this.#publish();
  readonly #summarise = (): void => {
    this.histogram = this.#book.histogram();
  };

  constructor(
    backend: Backend,
    painter: Painter,
    connectionId: string,
    nameOf: (tenantId: string) => string | undefined,
    capacity: number = CAPACITY,
  ) {
    this.#painter = painter;
    this.#nameOf = nameOf;
    this.#book = new LogBook(capacity, (line) => this.filter.matches(line));
    this.#unsubscribe = backend.subscribe(
      'logs',
      { connectionId },
      {
        snapshot: ({ lines, stats }) => {
          this.error = null;
          this.#nextStats = stats;
          const newest = this.#incoming.at(-1) ?? this.#book.last;
          // Another count than ours: the backend began anew, and so do we.
          if (newest !== undefined && (lines.at(-1)?.seq ?? -1) < Math.floor(newest.seq)) this.#reset();
          this.#take(lines);
          this.known = true;
        },
        delta: ({ lines, stats }) => {
          this.#nextStats = stats;
          this.#take(lines);
        },
        error: (error) => {
          this.error = error;
        },
      },
    );
  }

  setFilter(text: string): void {
    if (text === this.filter.text) return;
    this.filter = parseLogFilter(text, this.#nameOf);
    this.#book.setTest((line) => this.filter.matches(line));
    this.#nextWaiting = this.#countShown(this.#incoming);
    this.waiting = this.following ? 0 : this.#nextWaiting;
    this.#scaledRows = 0;
    this.#show();
  }

  /** The rows stand still; what arrives waits. */
  hold(): void {
    if (!this.following) return;
    this.following = false;
    this.#nextWaiting = this.#countShown(this.#incoming);
  }

  /** Back to the newest line and on with it. */
  follow(): void {
    this.following = true;
    this.chosen = null;
    this.#publish();
  }

  choose(row: LogRow | null, detail: boolean = this.detail): void {
    this.chosen = row;
    this.detail = row !== null && detail;
    if (row !== null) this.hold();
  }

  /** Moves the choice; without one it begins at the newest line. */
  move(by: number): void {
    const { length } = this.rows;
    if (length === 0) return;
    const at = this.chosenIndex;
    const next = at < 0 ? length - 1 : Math.max(0, Math.min(length - 1, at + by));
    this.choose(this.rows[next] ?? null);
  }

  /** Chooses the next error in a direction, or the newest when none is chosen; false when there is none. */
  moveToBad(direction: 1 | -1): boolean {
    const from = this.chosenIndex < 0 ? this.rows.length - 1 : this.chosenIndex + direction;
    const step = this.chosenIndex < 0 ? -1 : direction;
    for (let at = from; at >= 0 && at < this.rows.length; at += step) {
      const row = this.rows[at];
      if (row === undefined || !isBad(row.line)) continue;
      this.choose(row);
      return true;
    }
    return false;
  }

  around(line: LogLine, reach: number): LogLine[] {
    return this.#book.around(line.seq, reach);
  }

  /** A row by its line's number, where it is shown. */
  rowOf(seq: number): LogRow | undefined {
    return this.rows.find((row) => row.line.seq <= seq && seq <= row.last.seq);
  }

  #take(lines: readonly LogLine[]): void {
    const newest = Math.floor((this.#incoming.at(-1) ?? this.#book.last)?.seq ?? -1);
    const fresh = lines.filter(({ seq }) => seq > newest);
    this.#incoming.push(...fresh);
    if (!this.following) this.#nextWaiting += this.#countShown(fresh);
    // As many as the book holds: older ones would fall out of it anyway.
    const { capacity } = this.#book;
    if (this.#incoming.length > capacity * 1.1) this.#incoming.splice(0, this.#incoming.length - capacity);
    this.#painter.request(this.#paint);
  }

  #reset(): void {
    this.#book.clear();
    this.#incoming = [];
    this.choose(null);
    this.following = true;
  }

  #publish(): void {
    this.stats = this.#nextStats;
    const unseen = this.#incoming.some(({ source }) => source !== '' && !this.sources.includes(source));
    if (unseen)
      this.sources = [...new Set([...this.sources, ...this.#incoming.map(({ source }) => source)])].filter(
        (source) => source !== '',
      );
    if (!this.following) {
      this.waiting = this.#nextWaiting;
      return;
    }
    const added = this.#incoming.length;
    this.#book.add(this.#incoming);
    this.#incoming = [];
    this.waiting = 0;
    this.#show(added);
  }

  #countShown(lines: readonly LogLine[]): number {
    return this.filter.isEmpty ? lines.length : lines.filter((line) => this.filter.matches(line)).length;
  }

  /** `added`: lines that came since the last time. */
  #show(added = 0): void {
    this.rows = [...this.#book.rows];
    const { first, last, size } = this.#book;
    this.range = first === undefined || last === undefined ? null : { lines: size, first, last };
    // A log that has grown to twice its rows is another log.
    if (this.#paints % SCALE_EVERY_PAINTS === 0 || this.rows.length >= this.#scaledRows * 2) {
      this.scaleMs = this.#book.scaleMs();
      this.#scaledRows = this.rows.length;
    }
    // Another filter or the first lines: at once. A slow log: each time, for its next line may be long in coming.
    if (this.#paints === 0 || added === 0) this.#summarise();
    else if (added < FAST_LINES || this.#paints % SUMMARY_EVERY_PAINTS === 0)
      this.#painter.request(this.#summarise);
    this.#paints += 1;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#painter.forget(this.#paint);
    this.#painter.forget(this.#summarise);
  }
}

/** Rows stand in the order of their keys. */
function indexOfKey(rows: readonly LogRow[], key: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = rows[middle]?.key ?? 0;
    if (at === key) return middle;
    if (at < key) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}
