// `headway timing`: what `grep TIMING | jq | awk` is used for, for every stage and every tenant at once.
import { open, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwayError } from '../../contract/headway-error.ts';
import { formatDuration } from '../../core/duration.ts';
import { type GroupFigures, type ReportFigures, TimingReport } from '../../core/timing-report.ts';
import { readTimingFiles, readTimingStream } from '../logs/timing-files.ts';
import { TimingScan } from '../logs/timing-scan.ts';

const LOOK_EVERY_MS = 1_000;
const CHUNK_BYTES = 1_048_576;

export interface TimingOptions {
  /** A field of the object to group by; the tenant when left out. */
  by?: string;
  json: boolean;
  follow: boolean;
}

/** Without files, or for "-", standard input is read. */
export async function timing(paths: readonly string[], options: TimingOptions): Promise<void> {
  const groupBy = options.by ?? null;
  const stdin = paths.length === 0 || paths.includes('-');
  if (options.follow && stdin)
    throw new HeadwayError('bad-request', '--follow takes files; standard input is read to its end anyway.');
  if (options.follow) {
    await follow(paths, groupBy, options);
    return;
  }
  const report = await readTimingFiles(
    paths.filter((path) => path !== '-'),
    groupBy,
  );
  if (stdin) await readTimingStream(process.stdin, report, groupBy);
  print(report.figures(), options);
}

/** The whole again each second in which something was added; Ctrl-C ends it. */
async function follow(
  paths: readonly string[],
  groupBy: string | null,
  options: TimingOptions,
): Promise<void> {
  const report = new TimingReport();
  const tails = paths.map((path) => new FileTail(path, new TimingScan(report, groupBy)));
  for (;;) {
    const grown = await Promise.all(tails.map((tail) => tail.read()));
    if (grown.includes(true)) {
      if (process.stdout.isTTY && !options.json) process.stdout.write('\u001b[2J\u001b[H');
      print(report.figures(), options);
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** A file that grows, is cut, or is replaced by another of its name. */
class FileTail {
  readonly #path: string;
  readonly #scan: TimingScan;
  #inode: number | null = null;
  #at = 0;

  constructor(path: string, scan: TimingScan) {
    this.#path = path;
    this.#scan = scan;
  }

  /** Reads what is new; false when nothing is. */
  async read(): Promise<boolean> {
    let found;
    try {
      found = await stat(this.#path);
    } catch (cause) {
      // Between the rename and the new file of a rotation there is none.
      if (this.#inode !== null) return false;
      throw new HeadwayError('file-missing', `${this.#path} cannot be read. Is the path right?`, { cause });
    }
    if (found.ino !== this.#inode || found.size < this.#at) {
      if (this.#inode !== null) this.#scan.end();
      this.#inode = found.ino;
      this.#at = 0;
    }
    if (found.size === this.#at) return false;
    await using file = await open(this.#path);
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, this.#at);
      if (bytesRead === 0) return true;
      this.#at += bytesRead;
      this.#scan.push(buffer.subarray(0, bytesRead));
    }
  }
}

function print(figures: ReportFigures, { json }: TimingOptions): void {
  const seconds =
    figures.fromMs === null || figures.toMs === null ? null : (figures.toMs - figures.fromMs) / 1_000;
  const rate = (count: number): number | null => (seconds === null || seconds <= 0 ? null : count / seconds);
  if (json) {
    const described = (group: GroupFigures) => ({ ...group, ratePerS: rate(group.count) });
    const { fromMs, toMs, malformed, all, groups } = figures;
    const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
    console.log(
      JSON.stringify({
        from: time(fromMs),
        to: time(toMs),
        malformed,
        all: described(all),
        groups: groups.map(described),
      }),
    );
    return;
  }
  if (figures.all.count === 0) {
    console.log(
      `No [TIMING] line was found${figures.malformed > 0 ? `; ${figures.malformed} could not be read` : ''}.`,
    );
    return;
  }
  const rows = [['GROUP', 'STAGE', 'COUNT', 'PER MIN', 'ERRORS', 'MEAN', 'P50', 'P95', 'P99', 'MAX']];
  for (const group of [figures.all, ...figures.groups]) rows.push(...rowsOf(group, rate(group.count)));
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    );
    console.log(cells.join('  ').trimEnd());
  }
  if (figures.malformed > 0) console.log(`${figures.malformed} [TIMING] lines could not be read.`);
}

function rowsOf(group: GroupFigures, ratePerS: number | null): string[][] {
  return group.stages.map((stage, i) => {
    const times = [stage.meanMs, stage.p50Ms, stage.p95Ms, stage.p99Ms, stage.maxMs].map(formatDuration);
    const first = i === 0;
    return [
      first ? group.group : '',
      stage.stage,
      String(stage.count),
      first && ratePerS !== null ? (ratePerS * 60).toFixed(1) : '',
      first ? String(group.failed) : '',
      ...times,
    ];
  });
}
