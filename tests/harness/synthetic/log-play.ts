// The made-up system's worker log: mostly [TIMING] lines, a few warnings and errors, now and then a gap.
import type { LogLine, LogTail } from '../../../src/contract/logs.ts';

const RING = 5_000;
const sources = ['worker@mail-1:22 postal.log', 'worker@mail-2:22 postal.log'];
const domains = ['example.org', 'example.net', 'mail.test', 'parcel.test'];

export class LogPlay {
  readonly #random: () => number;
  readonly #tenants: number;
  readonly #linesPerS: number;
  readonly #ring: LogLine[] = [];
  #seq = 0;

  constructor(options: { random: () => number; tenants: number; linesPerS: number }) {
    this.#random = options.random;
    this.#tenants = options.tenants;
    this.#linesPerS = options.linesPerS;
  }

  /** The newest lines. */
  tail(count: number): LogTail {
    return { lines: this.#ring.slice(-count), stats: this.#stats() };
  }

  /** The next `count` lines. */
  next(count: number, nowMs: number): LogTail {
    const lines = Array.from({ length: count }, () => this.#line(nowMs));
    this.#ring.push(...lines);
    if (this.#ring.length > RING) this.#ring.splice(0, this.#ring.length - RING);
    return { lines, stats: this.#stats() };
  }

  #stats(): LogTail['stats'] {
    return { linesPerS: this.#linesPerS, total: this.#seq, dropped: 0, malformed: 0 };
  }

  #line(nowMs: number): LogLine {
    const seq = this.#seq++;
    const random = this.#random;
    const source = sources[seq % sources.length] ?? '';
    const base = { seq, readAtMs: nowMs, atMs: nowMs - 20, source, kind: 'line' as const, timing: null };
    const chance = random();
    if (seq > 0 && seq % 4_000 === 0)
      return { ...base, kind: 'reconnect', level: null, text: 'Reconnected after 1.2 s; nothing was missed' };
    if (chance < 0.02)
      return {
        ...base,
        level: 'error',
        text: `SMTP delivery of message ${seq} failed: 451 4.7.1 try again later`,
      };
    if (chance < 0.05)
      return {
        ...base,
        level: 'warn',
        text: `Connection to mx${seq % 7}.example.org is slow: 4.1 s to greet`,
      };
    if (chance < 0.2)
      return {
        ...base,
        level: 'info',
        text: `Message ${seq} from server ${1 + (seq % this.#tenants)} taken by thread 2`,
      };
    const tenantId = String(1 + Math.floor(random() * this.#tenants));
    const kind = domains[seq % domains.length] ?? '';
    const stages = {
      load: 2 + random() * 8,
      inspect: random() * 30,
      dkim: 4 + random() * 12,
      deliver: 80 + random() ** 4 * 6_000,
    };
    const totalMs = Object.values(stages).reduce((sum, ms) => sum + ms, 3);
    const failed = random() < 0.02;
    const timing = {
      tenantId,
      jobId: String(seq),
      kind,
      startedAtMs: nowMs - totalMs,
      totalMs,
      stages,
      status: failed ? ('error' as const) : ('success' as const),
      error: failed ? 'Net::ReadTimeout' : null,
      sizeBytes: Math.floor(2_000 + random() * 90_000),
    };
    const text = `[TIMING] ${JSON.stringify({ message_id: seq, server_id: Number(tenantId), domain: kind, total_ms: Math.round(totalMs), status: timing.status })}`;
    return { ...base, level: failed ? 'error' : 'info', text, timing };
  }
}
