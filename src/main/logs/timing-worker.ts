// Entry of a thread that reads ranges of log files into one report. See timing-files.ts.
import { open } from 'node:fs/promises';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { TimingReport } from '../../core/timing-report.ts';
import type { FromTimingThread, TimingRange, TimingThreadData, ToTimingThread } from './timing-messages.ts';
import { TimingScan } from './timing-scan.ts';

const CHUNK_BYTES = 1_048_576;
const NEWLINE = 0x0a;

// What timing-files.ts starts it with.
if (parentPort) serve(parentPort, (workerData as TimingThreadData).groupBy);

function serve(port: MessagePort, groupBy: string | null): void {
  const report = new TimingReport();
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  const send = (message: FromTimingThread): void => port.postMessage(message);
  port.on('message', (range: ToTimingThread) => {
    if (range === null) {
      send({ t: 'report', report: report.encode() });
      port.close();
      return;
    }
    readRange(range, new TimingScan(report, groupBy), buffer).then(
      () => send({ t: 'ready' }),
      (error: unknown) =>
        send({
          t: 'failed',
          path: range.path,
          message: error instanceof Error ? error.message : String(error),
        }),
    );
  });
  send({ t: 'ready' });
}

async function readRange({ path, from, to }: TimingRange, scan: TimingScan, buffer: Buffer): Promise<void> {
  await using file = await open(path);
  // A line belongs to the range in which it begins: the one that is under way at `from` began before.
  let at = from === 0 ? 0 : from - 1;
  let skipping = from > 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    let begin = 0;
    if (skipping) {
      const newline = buffer.subarray(0, bytesRead).indexOf(NEWLINE);
      if (newline < 0 && at + bytesRead >= to) return;
      skipping = newline < 0;
      begin = newline < 0 ? bytesRead : newline + 1;
      if (at + begin >= to) return;
    }
    // Past the end of the range only the rest of its last line is read.
    let end = bytesRead;
    if (at + bytesRead >= to) {
      const newline = buffer.subarray(0, bytesRead).indexOf(NEWLINE, Math.max(begin, to - 1 - at));
      if (newline >= 0) end = newline + 1;
    }
    scan.push(buffer.subarray(begin, end));
    at += bytesRead;
    if (end < bytesRead || (at > to && end === bytesRead && buffer[end - 1] === NEWLINE)) break;
  }
  scan.end();
}
