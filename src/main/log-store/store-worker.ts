// The thread that writes log lines. Started by disk-log-store.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { toWireError } from '../../contract/headway-error.ts';
import { LogWriter } from './log-writer.ts';
import type { FromWriter, Look, ToWriter, WriterData } from './store-messages.ts';

const port = parentPort;
if (port === null) throw new Error('store-worker.ts runs as a worker thread only');
const send = (message: FromWriter): void => port.postMessage(message);
// What disk-log-store.ts starts it with.
const writer = new LogWriter(workerData as WriterData, (text) => send({ t: 'problem', text }));

function serve(request: ToWriter): Look | null {
  switch (request.t) {
    case 'append':
      writer.append(request.batches, request.nowMs);
      return null;
    case 'look':
      return writer.look(request.connectionId, request.nowMs);
    case 'remove':
      writer.remove(request.connectionId, request.nowMs);
      return null;
    case 'limits':
      writer.limit(request);
      return null;
    case 'maintain':
      writer.maintain(request.nowMs);
      return null;
    case 'stop':
      writer[Symbol.dispose]();
      return null;
  }
}

port.on('message', (request: ToWriter) => {
  try {
    send({ t: 'done', id: request.id, look: serve(request) });
  } catch (error) {
    send({ t: 'failed', id: request.id, error: toWireError(error) });
  }
  // Nothing else keeps the thread alive.
  if (request.t === 'stop') port.close();
});
