// Entry of a thread that runs the jobs of one module, one at a time. Told by messages; see module-runner.ts.
//
// What comes in is made by module-runner.ts of the same build and is taken as it is: a schema library would make the
// start of each thread four times as dear. What goes out may be a module's doing, and is parsed over there.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { HandlerContext, HandlerJob } from '../handler.ts';
import type { FromThread, ModuleThreadData, ToThread } from './module-messages.ts';

const BEAT_MS = 1_000;
/** The histogram books whole intervals: what is over this is delay. */
const LOOP_RESOLUTION_MS = 10;
/** A module that tells its progress in a tight loop must not drown its engine. */
const PROGRESS_EVERY_MS = 100;

type JobFunction = (job: HandlerJob, context: HandlerContext) => unknown;

if (parentPort) await serve(parentPort, workerData as ModuleThreadData);

async function serve(port: MessagePort, data: ModuleThreadData): Promise<void> {
  const send = (message: FromThread): void => port.postMessage(message);
  let work: JobFunction;
  try {
    work = await load(data);
  } catch (error) {
    send({ t: 'unloadable', message: whyUnloadable(error) });
    return;
  }
  let abort = new AbortController();
  port.on('message', (message: ToThread) => {
    if (message.t === 'abort') abort.abort(new Error(message.reason));
    else {
      abort = new AbortController();
      void run(work, message.job, abort.signal, send);
    }
  });
  send({ t: 'loaded' });
}

async function load({ file, export: name }: ModuleThreadData): Promise<JobFunction> {
  const loaded = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Record<string, unknown>;
  const work = loaded[name];
  // What the function takes is told by the documentation; it cannot be checked from here.
  if (typeof work === 'function') return work as JobFunction;
  const has = Object.keys(loaded).join(', ');
  throw new Error(`its export "${name}" is no function; it exports ${has === '' ? 'nothing' : has}`);
}

/** Never rejects. */
async function run(
  work: JobFunction,
  job: HandlerJob,
  signal: AbortSignal,
  send: (message: FromThread) => void,
): Promise<void> {
  const stopBeats = beats(send);
  let last: FromThread = { t: 'done' };
  try {
    await work(job, contextOf(signal, send));
  } catch (error) {
    last = failed(error);
  }
  stopBeats();
  send(last);
}

/** What a module says is not checked by anybody else: it is made what the pool understands. */
function contextOf(signal: AbortSignal, send: (message: FromThread) => void): HandlerContext {
  let stages = 0;
  let toldAtMs = 0;
  return {
    signal,
    stage: async <T>(name: unknown, part: () => Promise<T>) => {
      const id = stages++;
      send({ t: 'stage', id, name: String(name) });
      try {
        return await part();
      } finally {
        send({ t: 'staged', id });
      }
    },
    progress: (done: unknown, note?: unknown) => {
      const nowMs = performance.now();
      if (typeof done !== 'number' || !Number.isFinite(done)) return;
      if (nowMs - toldAtMs < PROGRESS_EVERY_MS && done < 1) return;
      toldAtMs = nowMs;
      send({ t: 'progress', done, note: typeof note === 'string' ? note : null });
    },
  };
}

function beats(send: (message: FromThread) => void): () => void {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  const beat = (): void => {
    const { heapUsed, external } = process.memoryUsage();
    const p99Ms = delay.count === 0 ? 0 : delay.percentile(99) / 1e6 - LOOP_RESOLUTION_MS;
    send({ t: 'beat', heapBytes: heapUsed + external, loopDelayMs: Math.max(0, p99Ms) });
    delay.reset();
  };
  const timer = setInterval(beat, BEAT_MS);
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}

function failed(thrown: unknown): FromThread {
  const of: Partial<Record<'name' | 'stack' | 'code' | 'status' | 'class' | 'retryAfterMs', unknown>> =
    typeof thrown === 'object' && thrown !== null ? thrown : {};
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
  return {
    t: 'failed',
    name: text(of.name) ?? 'Error',
    message: messageOf(thrown),
    stack: text(of.stack),
    code: text(of.code),
    status: typeof of.status === 'number' && Number.isFinite(of.status) ? of.status : null,
    class: text(of.class),
    retryAfterMs: typeof of.retryAfterMs === 'number' && of.retryAfterMs >= 0 ? of.retryAfterMs : null,
  };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** With the line of a file that cannot be parsed: Node puts it above the stack. */
function whyUnloadable(thrown: unknown): string {
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : '';
  const place = /^(?:file:\/\/)?([^\s(]+:\d+)$/m.exec(stack)?.[1];
  return place === undefined ? messageOf(thrown) : `${messageOf(thrown)} (${place})`;
}
