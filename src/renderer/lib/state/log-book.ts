// The log lines a window holds: a bounded ring with the rows made of it. Pure, so that its rules can be tested.
import type { LogLine } from '../../../contract/logs.ts';
import { bodyOf, isBad, timeOf } from '../format/log-line.ts';

/** One row on the screen: a line, or several in succession that say the same. */
export interface LogRow {
  /** The first line's; stays while the row grows. */
  key: number;
  line: LogLine;
  /** The newest of the lines it stands for. */
  last: LogLine;
  count: number;
  /** The text without time and level. */
  body: string;
}

export interface HistogramBar {
  all: number;
  shown: number;
  bad: number;
}
export interface Histogram {
  fromMs: number;
  bucketMs: number;
  bars: readonly HistogramBar[];
}

interface Entry {
  line: LogLine;
  shown: boolean;
}
type Test = (line: LogLine) => boolean;

const BUCKETS = 120;
const SECOND = 1_000;
/** From 1 s: many logs tell no finer time. */
const bucketSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400].map(
  (step) => step * SECOND,
);
/** So many of the newest attempts tell the scale of the bars. */
const SCALE_SAMPLE = 2_000;

export class LogBook {
  readonly capacity: number;
  #entries: Entry[] = [];
  #rows: LogRow[] = [];
  #test: Test;

  constructor(capacity: number, test: Test) {
    this.capacity = capacity;
    this.#test = test;
  }

  get rows(): readonly LogRow[] {
    return this.#rows;
  }
  get size(): number {
    return this.#entries.length;
  }
  get first(): LogLine | undefined {
    return this.#entries[0]?.line;
  }
  get last(): LogLine | undefined {
    return this.#entries.at(-1)?.line;
  }

  /** Adds lines in their order. One whose number does not follow is preceded by a line that says so. */
  add(lines: readonly LogLine[]): void {
    for (const line of lines) {
      const last = this.last;
      if (last !== undefined) {
        if (line.seq <= last.seq) continue;
        if (line.seq > Math.floor(last.seq) + 1) this.#push(missing(Math.floor(last.seq), line));
      }
      this.#push(line);
    }
    this.#trim();
  }

  clear(): void {
    this.#entries = [];
    this.#rows = [];
  }

  /** Shows other lines of the same ring. */
  setTest(test: Test): void {
    this.#test = test;
    this.#rows = [];
    for (const entry of this.#entries) {
      entry.shown = this.#isShown(entry.line);
      if (entry.shown) this.#show(entry.line);
    }
  }

  /** The lines around one, shown or not. */
  around(seq: number, reach: number): LogLine[] {
    const at = this.#find(seq);
    return this.#entries.slice(Math.max(0, at - reach), at + reach + 1).map(({ line }) => line);
  }

  histogram(): Histogram | null {
    const { first, last } = this;
    if (first === undefined || last === undefined) return null;
    const fromMs = Math.min(timeOf(first), timeOf(last));
    const toMs = Math.max(timeOf(first), timeOf(last));
    const bucketMs = bucketSteps.find((step) => (toMs - fromMs) / step < BUCKETS) ?? 604_800_000;
    const start = Math.floor(fromMs / bucketMs) * bucketMs;
    const bars = Array.from({ length: Math.floor((toMs - start) / bucketMs) + 1 }, () => ({
      all: 0,
      shown: 0,
      bad: 0,
    }));
    for (const { line, shown } of this.#entries) {
      if (line.kind !== 'line') continue;
      // A line from a wrong clock counts at the edge: it must not stretch the axis.
      const at = Math.max(0, Math.min(bars.length - 1, Math.floor((timeOf(line) - start) / bucketMs)));
      const bar = bars[at];
      if (bar === undefined) continue;
      bar.all += 1;
      if (!shown) continue;
      bar.shown += 1;
      if (isBad(line)) bar.bad += 1;
    }
    return { fromMs: start, bucketMs, bars };
  }

  /** The p95 of the shown attempts' totals, rounded up to 1, 2 or 5 times a power of ten. */
  scaleMs(): number {
    const totals: number[] = [];
    for (let at = this.#rows.length - 1; at >= 0 && totals.length < SCALE_SAMPLE; at -= 1) {
      const timing = this.#rows[at]?.line.timing;
      if (timing != null) totals.push(timing.totalMs);
    }
    totals.sort((a, b) => a - b);
    return roundUp(totals[Math.min(totals.length - 1, Math.floor(totals.length * 0.95))] ?? SECOND);
  }

  #push(line: LogLine): void {
    const shown = this.#isShown(line);
    this.#entries.push({ line, shown });
    if (shown) this.#show(line);
  }

  /** What is missing is told under every filter. */
  #isShown(line: LogLine): boolean {
    return line.kind === 'gap' || line.kind === 'drop' || this.#test(line);
  }

  #show(line: LogLine): void {
    const body = bodyOf(line);
    const before = this.#rows.at(-1);
    if (before !== undefined && says(before, line, body))
      this.#rows[this.#rows.length - 1] = { ...before, last: line, count: before.count + 1 };
    else this.#rows.push({ key: line.seq, line, last: line, count: 1, body });
  }

  /** In pieces, because removing from the front costs the whole list. */
  #trim(): void {
    if (this.#entries.length <= this.capacity * 1.1) return;
    this.#entries.splice(0, this.#entries.length - this.capacity);
    const oldest = this.first?.seq ?? 0;
    const kept = this.#rows.findIndex((row) => row.last.seq >= oldest);
    this.#rows.splice(0, kept < 0 ? this.#rows.length : kept);
  }

  #find(seq: number): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle]?.line.seq ?? 0) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function says(row: LogRow, line: LogLine, body: string): boolean {
  return (
    line.kind === 'line' &&
    row.line.kind === 'line' &&
    line.timing === null &&
    row.line.timing === null &&
    row.body === body &&
    row.line.source === line.source &&
    row.line.level === line.level
  );
}

/** Stands between two lines that do not follow each other; its number lies between theirs. */
function missing(afterSeq: number, next: LogLine): LogLine {
  const count = next.seq - afterSeq - 1;
  return {
    seq: next.seq - 0.5,
    readAtMs: next.readAtMs,
    atMs: null,
    source: '',
    kind: 'gap',
    level: 'warn',
    text: `${count.toLocaleString('en')} ${count === 1 ? 'line' : 'lines'} passed while this window was away`,
    timing: null,
  };
}

function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return ([1, 2, 5].find((step) => step * power >= value) ?? 10) * power;
}
