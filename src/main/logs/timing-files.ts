// Whole logs into one timing report: plain files by several threads at once, gzip and streams as they come.
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { createGunzip } from 'node:zlib';
import { HeadwayError } from '../../contract/headway-error.ts';
import { TimingReport } from '../../core/timing-report.ts';
import type { FromTimingThread, TimingRange, TimingThreadData, ToTimingThread } from './timing-messages.ts';
import { TimingScan } from './timing-scan.ts';

/** Small enough that threads end together, large enough that a range costs nothing to begin. */
const RANGE_BYTES = 16 * 1_048_576;
/** A smaller file is read at once: a thread would take longer to start. */
const ALONE_BYTES = 8 * 1_048_576;
const MOST_THREADS = 8;
const GZIP = Buffer.from([0x1f, 0x8b]);

/**
 * Adds every file to a new report, grouped by a field of the `[TIMING]` object (the tenant when null). A file that cannot be read
 * rejects with `file-missing`, named.
 */
export async function readTimingFiles(
  paths: readonly string[],
  groupBy: string | null,
): Promise<TimingReport> {
  const report = new TimingReport();
  const ranges: TimingRange[] = [];
  for (const path of paths) {
    const { gzip, size } = await look(path);
    if (gzip) await readTimingStream(unpacked(path), report, groupBy);
    else if (size === null || size < ALONE_BYTES)
      await readTimingStream(createReadStream(path), report, groupBy);
    else
      for (let from = 0; from < size; from += RANGE_BYTES)
        ranges.push({ path, from, to: Math.min(size, from + RANGE_BYTES) });
  }
  const threads = Math.min(availableParallelism(), MOST_THREADS, ranges.length);
  const next = ranges.values();
  await Promise.all(Array.from({ length: threads }, () => readRanges(next, report, groupBy)));
  return report;
}

/** Adds a stream of bytes to `report`. */
export async function readTimingStream(
  stream: AsyncIterable<unknown>,
  report: TimingReport,
  groupBy: string | null,
): Promise<void> {
  const scan = new TimingScan(report, groupBy);
  for await (const chunk of stream) if (Buffer.isBuffer(chunk)) scan.push(chunk);
  scan.end();
}

/** `size` is null for what is no plain file (a pipe, a device). */
async function look(path: string): Promise<{ gzip: boolean; size: number | null }> {
  try {
    const found = await stat(path);
    if (found.isDirectory())
      throw new HeadwayError('bad-request', `${path} is a directory; name the log files in it.`);
    if (!found.isFile()) return { gzip: false, size: null };
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(GZIP.length), 0, GZIP.length, 0);
    return { gzip: bytesRead === GZIP.length && buffer.equals(GZIP), size: found.size };
  } catch (error) {
    if (error instanceof HeadwayError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new HeadwayError('file-missing', `${path} cannot be read: ${why}`, { cause: error });
  }
}

async function* unpacked(path: string): AsyncGenerator {
  const source = createReadStream(path);
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  try {
    yield* source.pipe(gunzip);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HeadwayError('file-missing', `${path} is no whole gzip file: ${why}`, { cause });
  } finally {
    source.destroy();
  }
}

/** One thread, given range after range until none is left. */
async function readRanges(
  ranges: Iterator<TimingRange, undefined>,
  report: TimingReport,
  groupBy: string | null,
): Promise<void> {
  // From source or from the build: the entry lies beside this file, with this file's ending.
  const entry = import.meta.url.endsWith('.ts') ? './timing-worker.ts' : './timing-worker.js';
  const workerData: TimingThreadData = { groupBy };
  const worker = new Worker(new URL(entry, import.meta.url), { workerData, name: 'timing' });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => reject(new Error('the thread that reads the log ended without a report')));
      worker.on('message', (message: FromTimingThread) => {
        switch (message.t) {
          case 'ready':
            worker.postMessage((ranges.next().value ?? null) satisfies ToTimingThread);
            break;
          case 'report':
            report.merge(message.report);
            resolve();
            break;
          case 'failed':
            reject(new HeadwayError('file-missing', `${message.path} cannot be read: ${message.message}`));
            break;
        }
      });
    });
  } finally {
    await worker.terminate();
  }
}
