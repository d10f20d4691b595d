// A Postal worker's log: lines in its logger's format, and the site's own [TIMING] line.
import { appendFile } from 'node:fs/promises';
import type { StageTimes } from './postal-service.ts';

export interface TimingLine {
  messageId: number;
  serverId: number;
  queueId: number;
  domain: string | null;
  startedAtMs: number;
  sizeBytes: number;
  stages: StageTimes;
  totalMs: number;
  error: string | null;
}

type Tags = Record<string, string | number>;

/**
 * Appends to a file, which is opened anew for each batch of lines, so a rotated file is left and a new one
 * begun. Without a path, nothing is written.
 */
export class PostalLog {
  readonly #path: string | null;
  readonly #now: () => number;
  #pending = '';
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string | null, now: () => number) {
    this.#path = path;
    this.#now = now;
  }

  /** `2026-01-09 12:34:56 +0000 INFO    text key=value` */
  write(level: 'INFO' | 'ERROR', text: string, tags: Tags): void {
    if (this.#path === null) return;
    this.#pending += logLine(this.#now(), level, text, tags);
    this.#writing = this.#writing.then(() => this.#drain());
  }

  timing(timing: TimingLine, tags: Tags): void {
    this.write('INFO', `[TIMING] ${timingJson(timing)}`, tags);
  }

  /** Resolves when every line so far is in the file; rejects when one could not be written. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    const lines = this.#pending;
    this.#pending = '';
    if (lines !== '' && this.#path !== null) await appendFile(this.#path, lines);
  }
}

/** One line of the log; tags follow the text, also where the text is JSON. */
export function logLine(atMs: number, level: 'INFO' | 'ERROR', text: string, tags: Tags): string {
  const time = new Date(atMs).toISOString().slice(0, 19).replace('T', ' ');
  const tail = Object.entries(tags).map(([key, value]) => ` ${key}=${value}`);
  return `${time} +0000 ${level.padEnd(7)} ${text}${tail.join('')}\n`;
}

function timingJson(timing: TimingLine): string {
  const ms = (value: number) => Math.round(value * 100) / 100;
  return JSON.stringify({
    message_id: timing.messageId,
    server_id: timing.serverId,
    queue_id: timing.queueId,
    domain: timing.domain,
    start_time: new Date(timing.startedAtMs).toISOString(),
    message_size: timing.sizeBytes,
    load_ms: ms(timing.stages.load),
    inspect_ms: ms(timing.stages.inspect),
    dkim_ms: ms(timing.stages.dkim),
    deliver_ms: ms(timing.stages.deliver),
    total_ms: ms(timing.totalMs),
    status: timing.error === null ? 'success' : 'error',
    error: timing.error,
  });
}
