// The stored lines of one connection as their writer has them: a ring of segments, the oldest deleted first.
import { appendFileSync, mkdirSync, rmSync, truncateSync } from 'node:fs';
import { encodeHead } from './record.ts';
import { lineKey, recentLines } from './recent-lines.ts';
import { listSegments, readSources, sourcesFile } from './segment-files.ts';
import { Segment, type SegmentInfo } from './segment.ts';
import type { Batch } from './store-messages.ts';

export interface LogLimits {
  budgetBytes: number;
  keepMs: number;
}

const SEGMENT_BYTES = 16 * 1_048_576;
/** A ring of fewer would lose a large part of all lines at once. */
const LEAST_SEGMENTS = 8;
/** A log of few lines is cut by time too, or it would outlive the days it is kept. */
const LEAST_SPANS = 8;
const WRITE_BYTES = 256 * 1_024;

export class ConnectionLog {
  readonly #folder: string;
  #limits: LogLimits;
  readonly #segments: Segment[] = [];
  readonly #sources: string[];
  /** What was stored last before tails began anew; null while none does. */
  #recent: ReadonlySet<string> | null = null;
  readonly #sourceNumbers: Map<string, number>;

  private constructor(folder: string, limits: LogLimits) {
    this.#folder = folder;
    this.#limits = limits;
    this.#sources = readSources(folder);
    this.#sourceNumbers = new Map(this.#sources.map((label, number) => [label, number]));
  }

  /** Opens or creates the folder. Throws what the disk says. */
  static open(folder: string, limits: LogLimits): ConnectionLog {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const log = new ConnectionLog(folder, limits);
    const numbers = listSegments(folder);
    for (const number of numbers)
      log.#segments.push(Segment.recover(folder, number, number === numbers.at(-1)));
    return log;
  }

  get segments(): SegmentInfo[] {
    return this.#segments.map((segment) => segment.info).filter(({ bytes }) => bytes > 0);
  }

  get sources(): readonly string[] {
    return this.#sources;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytesOnDisk, 0);
  }

  /** Appends the lines of a batch in order; returns how many are there. Where the disk refuses, `refused` has its error and the rest is not there. */
  append(batch: Batch, nowMs: number): { stored: number; refused: unknown } {
    const texts = batch.text.split('\n');
    let stored = 0;
    let skipped = 0;
    let records = '';
    let waiting = 0;
    try {
      const numbers = batch.sources.map((label) => this.#numberOf(label));
      const write = (): void => {
        if (waiting === 0) return;
        this.#current(nowMs).append(Buffer.from(records));
        stored += waiting;
        records = '';
        waiting = 0;
      };
      if (batch.lines.every(({ mayBeOld }) => !mayBeOld)) this.#recent = null;
      for (const [i, line] of batch.lines.entries()) {
        if (line.mayBeOld && this.#isStored(line, batch.sources[line.source] ?? '', texts[i] ?? '')) {
          skipped += 1;
          continue;
        }
        records += `${encodeHead({ ...line, source: numbers[line.source] ?? 0 })}${texts[i]}\n`;
        waiting += 1;
        if (records.length >= WRITE_BYTES) write();
      }
      write();
      this.#fit();
    } catch (refused) {
      return { stored: stored + skipped, refused };
    }
    return { stored: stored + skipped, refused: null };
  }

  /** In force at the next write. */
  limit(limits: LogLimits): void {
    this.#limits = limits;
  }

  /** Deletes what is older than its days. Throws what the disk says. */
  maintain(nowMs: number): void {
    this.#recent = null;
    const oldestMs = nowMs - this.#limits.keepMs;
    const current = this.#segments.at(-1);
    // The newest is kept under its number, or numbers would come again that old findings still name.
    if (current !== undefined && current.bytes > 0 && current.info.toMs < oldestMs) this.#begin();
    while (
      this.#segments.length > 1 &&
      this.#segments[0] !== undefined &&
      this.#segments[0].info.toMs < oldestMs
    )
      this.#dropOldest();
    this.#fit();
  }

  remove(): void {
    this.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  close(): void {
    for (const segment of this.#segments) segment.release();
  }

  /** The segment to write to. */
  #current(nowMs: number): Segment {
    const current = this.#segments.at(-1);
    if (current === undefined) return this.#begin();
    const full = Math.min(SEGMENT_BYTES, this.#limits.budgetBytes / LEAST_SEGMENTS);
    const isOld = nowMs - current.info.fromMs > this.#limits.keepMs / LEAST_SPANS;
    return current.bytes >= full || isOld ? this.#begin() : current;
  }

  #begin(): Segment {
    const last = this.#segments.at(-1);
    const segment = Segment.create(this.#folder, (last?.number ?? 0) + 1);
    last?.finish();
    this.#segments.push(segment);
    return segment;
  }

  #fit(): void {
    while (this.#segments.length > 1 && this.bytes > this.#limits.budgetBytes) this.#dropOldest();
  }

  #dropOldest(): void {
    this.#segments[0]?.remove();
    this.#segments.shift();
  }

  /** A line without a time of its own may be said again at any time, and counts as new. */
  #isStored({ atMs }: { atMs: number | null }, source: string, text: string): boolean {
    if (atMs === null) return false;
    this.#recent ??= recentLines(this.#folder, this.segments, this.#sources);
    return this.#recent.has(lineKey(source, Math.round(atMs), text));
  }

  #numberOf(label: string): number {
    const known = this.#sourceNumbers.get(label);
    if (known !== undefined) return known;
    const path = sourcesFile(this.#folder);
    // What a crash or a full disk left half written would become part of this label.
    if (this.#sources.length > 0) truncateSync(path, Buffer.byteLength(`${this.#sources.join('\n')}\n`));
    else rmSync(path, { force: true });
    appendFileSync(path, `${label}\n`, { mode: 0o600 });
    const number = this.#sources.push(label) - 1;
    this.#sourceNumbers.set(label, number);
    return number;
  }
}
