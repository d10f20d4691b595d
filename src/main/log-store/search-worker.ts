// A thread that reads stored lines: searches a segment, or looks around a line. Started by search-pool.ts.
import { parentPort } from 'node:worker_threads';
import type { LogContext, TimingSizes } from '../../contract/log-search.ts';
import { HeadwayError, toWireError } from '../../contract/headway-error.ts';
import { readContext } from './read-context.ts';
import { readSizes } from './read-sizes.ts';
import type { FromSearchThread, Task, ToSearchThread } from './search-messages.ts';
import { searchSegment } from './search-segment.ts';

const port = parentPort;
if (port === null) throw new Error('search-worker.ts runs as a worker thread only');
const send = (message: FromSearchThread): void => port.postMessage(message);

function serve(task: Task, stopped: () => boolean): LogContext | TimingSizes | null {
  switch (task.t) {
    case 'search':
      searchSegment(task, stopped, (found) => send({ t: 'found', found }));
      return null;
    case 'context':
      return readContext(task);
    case 'sizes':
      return readSizes(task, stopped);
  }
}

port.on('message', ({ task, stop }: ToSearchThread) => {
  const word = new Int32Array(stop);
  try {
    send({ t: 'done', result: serve(task, () => Atomics.load(word, 0) !== 0) });
  } catch (error) {
    send({ t: 'failed', error: toWireError(fromDisk(error) ? unreadable(error) : error) });
  }
});

const fromDisk = (error: unknown): error is Error => error instanceof Error && 'syscall' in error;
const unreadable = (error: Error): HeadwayError =>
  new HeadwayError('storage-failed', `Cannot read the stored log lines: ${error.message}`, {
    retryable: true,
    cause: error,
  });
