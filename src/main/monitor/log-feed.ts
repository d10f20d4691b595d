// The newest log lines of one connection: a bounded ring that every window follows from its own place.
import type { LogLine, LogStats, LogTail } from '../../contract/logs.ts';
import type { ParsedLine } from '../logs/log-events.ts';
import { Listeners } from './listeners.ts';

const RING_LINES = 20_000;
const SNAPSHOT_LINES = 2_000;
const RATE_WINDOW_MS = 5_000;

export class LogFeed {
  readonly #ring: LogLine[] = [];
  readonly #listeners = new Listeners<LogTail>();
  #arrivals: { atMs: number; count: number }[] = [];
  #seq = 0;
  #malformed = 0;
  #dropped = 0;
  #toldPerS = 0;

  /** Lines in the ring. */
  get kept(): number {
    return this.#ring.length;
  }

  /** Returns the lines as they are shown, each with its place. */
  add(source: string, lines: ParsedLine[], nowMs: number): readonly LogLine[] {
    const placed = lines.map(({ malformedTiming, ...line }): LogLine => {
      if (malformedTiming) this.#malformed += 1;
      if (line.kind === 'drop') this.#dropped += 1;
      return { ...line, seq: this.#seq++, source };
    });
    this.#ring.push(...placed);
    // Trimmed in one go when well over, because removing from the front costs the whole ring.
    if (this.#ring.length > RING_LINES * 1.25) this.#ring.splice(0, this.#ring.length - RING_LINES);
    this.#arrivals.push({ atMs: nowMs, count: lines.length });
    this.#tell(placed, this.stats(nowMs));
    return placed;
  }

  /** Tells a rate that has fallen: lines that stop coming say nothing by themselves. */
  tick(nowMs: number): void {
    const stats = this.stats(nowMs);
    if (stats.linesPerS !== this.#toldPerS) this.#tell([], stats);
  }

  stats(nowMs: number): LogStats {
    this.#arrivals = this.#arrivals.filter((arrival) => arrival.atMs > nowMs - RATE_WINDOW_MS);
    const recent = this.#arrivals.reduce((sum, arrival) => sum + arrival.count, 0);
    return {
      linesPerS: recent / (RATE_WINDOW_MS / 1000),
      total: this.#seq,
      dropped: this.#dropped,
      malformed: this.#malformed,
    };
  }

  /** The newest lines now, and every batch after them until `signal` aborts. */
  follow(listener: (tail: LogTail) => void, nowMs: number, signal: AbortSignal): LogTail {
    this.#listeners.add(listener, signal);
    return { lines: this.#ring.slice(-SNAPSHOT_LINES), stats: this.stats(nowMs) };
  }

  #tell(lines: LogLine[], stats: LogStats): void {
    this.#toldPerS = stats.linesPerS;
    this.#listeners.emit({ lines, stats });
  }
}
