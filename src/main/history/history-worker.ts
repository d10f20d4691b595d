// The worker thread of the history: parses messages, hands them to the file, answers. Started by sqlite-history.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { HeadwayError, toWireError } from '../../contract/errors.ts';
import { HistoryFile } from './history-file.ts';
import { envelopeSchema, requestSchema, workerDataSchema, type Answer, type Request } from './messages.ts';
import { isCorrupt, keepAside } from './schema.ts';

const port = parentPort;
if (port === null) throw new Error('history-worker.ts runs as a worker thread only');
const answer = (message: Answer) => port.postMessage(message);
const options = workerDataSchema.parse(workerData);
let file: HistoryFile;

function open(): void {
  file = HistoryFile.open(options);
  if (file.setAside !== null) answer({ t: 'set-aside', ...file.setAside });
}

function serve(request: Request): unknown {
  switch (request.t) {
    case 'keep':
      file.keep(request.entries);
      return { dropped: file.dropped };
    case 'query':
      return file.query(request.query);
    case 'timing-analysis':
      return file.timingAnalysis(request.query);
    case 'load-alerts':
      return file.loadAlerts();
    case 'write':
      file.write(request.nowMs);
      return null;
    case 'maintain': {
      let more = file.maintain(request.nowMs);
      while (more && request.all) more = file.maintain(request.nowMs);
      return { more };
    }
    case 'stop':
      file.write(request.nowMs);
      file[Symbol.dispose]();
      return null;
  }
}

/** Damage may show only when a page is read: then, too, the file is kept aside and a new one begun. */
function beginAnew(nowMs: number): void {
  file[Symbol.dispose]();
  answer({ t: 'set-aside', ...keepAside(options.file, 'corrupt', nowMs) });
  open();
}

port.on('message', (message: unknown) => {
  const { id, nowMs } = envelopeSchema.parse(message);
  try {
    const request = requestSchema.parse(message);
    answer({ t: 'done', id, result: serve(request) });
    // Nothing else keeps the thread alive.
    if (request.t === 'stop') port.close();
  } catch (error) {
    answer({ t: 'failed', id, error: toWireError(fromSqlite(error) ? unusable(error) : error) });
    if (isCorrupt(error)) beginAnew(nowMs);
  }
});

const fromSqlite = (error: unknown): error is Error => error instanceof Error && 'errcode' in error;
const unusable = (error: Error): HeadwayError =>
  new HeadwayError('storage-failed', `Cannot use the history ${options.file}: ${error.message}`, {
    retryable: true,
    cause: error,
  });

try {
  open();
  answer({ t: 'ready' });
} catch (error) {
  answer({ t: 'cannot-open', error: toWireError(error) });
  port.close();
}
