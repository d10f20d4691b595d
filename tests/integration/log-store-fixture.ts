// What the tests of the log store share: lines, a store in a folder, and what a search tells in the end.
import type { LogSearch, SearchProgress, StoredLine } from '../../src/contract/log-search.ts';
import type { LogLine } from '../../src/contract/logs.ts';
import { seededRandom } from '../../src/core/seeded-random.ts';
import { DiskLogStore, type DiskLogStoreOptions } from '../../src/main/log-store/disk-log-store.ts';
import { readTiming } from '../../src/main/logs/read-timing.ts';

export const MEGABYTE = 2 ** 20;
export const T0 = Date.UTC(2026, 0, 9);
export const never = new AbortController().signal;

export class TestStore extends DiskLogStore {
  /** Each told once, in order; null: storing goes on. */
  readonly problems: (string | null)[];

  constructor(folder: string, options: Partial<DiskLogStoreOptions> = {}) {
    const problems: (string | null)[] = [];
    super({
      folder,
      budgetBytes: 1_024 * MEGABYTE,
      keepMs: Infinity,
      now: Date.now,
      onProblem: (problem) => problems.push(problem),
      ...options,
    });
    this.problems = problems;
  }

  /** A whole search: all lines told, and the last word. */
  async find(filter: string, more: Partial<LogSearch> = {}, names: [string, string][] = []): Promise<Result> {
    const words: SearchProgress[] = [];
    const all = { connectionId: 'mail', fromMs: null, toMs: null, order: 'oldest' as const };
    await this.search(
      { ...all, limit: 100_000, buckets: 0, filter, ...more },
      names,
      (progress) => words.push(structuredClone(progress)),
      never,
    );
    const last = words.at(-1);
    if (last === undefined) throw new Error('the search told nothing');
    return { ...last, lines: words.flatMap(({ lines }) => lines), words };
  }
}

export type Result = SearchProgress & { words: SearchProgress[] };

export function lineOf(i: number, text: string, more: Partial<LogLine> = {}): LogLine {
  return {
    seq: i,
    readAtMs: T0 + i * 10,
    atMs: i % 5 === 0 ? null : T0 + i * 10 - 7,
    source: i % 3 === 0 ? 'mail-2 journal' : 'mail-1 /var/log/worker.log',
    kind: 'line',
    level: 'info',
    text,
    timing: null,
    ...more,
  };
}

/** Lines as workers write them; their timing is read as a tail reads it. */
export function workerLines(count: number, from = 0): LogLine[] {
  const random = seededRandom(from + 7);
  return Array.from({ length: count }, (_, k) => {
    const i = from + k;
    if (i % 4 === 0)
      return lineOf(i, `queue claimed message ${i} für Nr. ${i % 41}`, { level: i % 8 ? 'warn' : null });
    const total = Math.round(5_000 * random() ** 4);
    const size = 1_000 + Math.floor(random() * 90_000);
    const text = `[TIMING] {"message_id":${i},"server_id":${1 + (i % 41)},"message_size":${size},"dkim_ms":${(size / 1_000).toFixed(2)},"deliver_ms":${total},"total_ms":${total + 3},"status":"${i % 21 ? 'success' : 'error'}"}`;
    const timing = readTiming(text);
    return lineOf(i, text, {
      level: i % 21 ? 'info' : 'error',
      timing: typeof timing === 'object' ? timing.record : null,
    });
  });
}

/** A line as the store gives it back, its place aside. */
export function asStored({ seq: _, ...line }: LogLine): Omit<StoredLine, 'at'> {
  return line;
}

export const withoutPlace = (lines: readonly StoredLine[]): Omit<StoredLine, 'at'>[] =>
  lines.map(({ at: _, ...line }) => line);
