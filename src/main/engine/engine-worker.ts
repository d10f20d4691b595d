// Entry of the engines' thread: the rehearsal and the local engine, told by messages. See engine-host.ts.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { toWireError } from '../../contract/errors.ts';
import { systemClock } from './clock.ts';
import { EngineLog } from './engine-log.ts';
import {
  type EngineName,
  type EngineThreadData,
  engineThreadDataSchema,
  type FromEngine,
  type ToEngine,
  toEngineSchema,
} from './engine-messages.ts';
import type { EngineParts } from './engine-parts.ts';
import { LocalEngine } from './local-engine.ts';
import { answerAdmin } from './local-engine-calls.ts';
import { LocalEngineSecrets } from './local-engine-secrets.ts';
import { Rehearsal } from './rehearsal.ts';
import { SqliteStore } from './stores/sqlite-store.ts';
import { checkHandler, createHandler, type HandlerParts } from './workers/handlers/create-handler.ts';
import { Executors } from './workers/handlers/executors.ts';

/** The whole application may use so much before the engines take on less. */
const MEMORY_LIMIT_BYTES = 1.5 * 1024 ** 3;

type Request = Exclude<ToEngine, { t: 'stop' | 'secret' | 'no-secret' }>;

/** The two engines of the thread. */
interface Engines {
  rehearsal: Rehearsal;
  local: LocalEngine;
}

if (parentPort) await serve(parentPort, engineThreadDataSchema.parse(workerData));

/** Runs until it is told to stop; ends the thread by closing its port. */
async function serve(port: MessagePort, data: EngineThreadData): Promise<void> {
  const send = (message: FromEngine): void => port.postMessage(message);
  try {
    await run(port, data, send);
  } catch (error) {
    send({ t: 'failed', request: null, error: toWireError(error) });
  } finally {
    port.close();
  }
}

async function run(
  port: MessagePort,
  data: EngineThreadData,
  send: (message: FromEngine) => void,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const secrets = new LocalEngineSecrets((question, ref, what) =>
    send({ t: 'secret?', question, ref, what }),
  );
  // Rehearsals use no threads; programs of both are watched together.
  const executors = stack.use(new Executors(systemClock, data.local.engine.workers));
  const handlerParts = (folder: string): HandlerParts => ({
    folder,
    secret: secrets.read,
    clock: systemClock,
    executors,
  });
  let { baseDirectory } = data.local;
  const logs = { rehearsal: logOf('rehearsal', send), local: logOf('local', send) };

  mkdirSync(data.rehearsalFolder, { recursive: true, mode: 0o700 });
  const rehearsal = new Rehearsal({
    ...engineParts(logs.rehearsal),
    folder: data.rehearsalFolder,
    openStore: (file) => SqliteStore.open({ file, fresh: true }),
    handler: (kind) => createHandler(kind, handlerParts(data.rehearsalFolder)),
    onChange: (state) => send({ t: 'rehearsal', rehearsal: state }),
    onNote: (text) => logs.rehearsal.note(text),
  });
  stack.defer(() => rehearsal.stop());
  const local = new LocalEngine(
    {
      ...engineParts(logs.local),
      openStore: () => SqliteStore.open({ file: data.localFile }),
      createHandler: (kind) => createHandler(kind, handlerParts(baseDirectory)),
      checkHandler: (kind) => checkHandler(kind, handlerParts(baseDirectory)),
      onState: (problem) => send({ t: 'local', problem }),
    },
    data.local.engine,
  );
  await Promise.all([rehearsal.start(data.incident, data.switches), local.start()]);

  const stopped = Promise.withResolvers<number>();
  port.on('message', (raw: unknown) => {
    const message = toEngineSchema.parse(raw);
    switch (message.t) {
      case 'stop':
        stopped.resolve(message.deadlineMs);
        break;
      case 'secret':
        secrets.answered(message.question, { value: message.value });
        break;
      case 'no-secret':
        secrets.answered(message.question, { error: message.error });
        break;
      case 'settings':
        baseDirectory = message.local.baseDirectory;
        executors.configure(message.local.engine.workers);
        void answer(message, { rehearsal, local }, send);
        break;
      case 'sample':
      case 'admin':
      case 'rehearse':
      case 'act':
        void answer(message, { rehearsal, local }, send);
    }
  });
  send({ t: 'started' });
  const deadlineMs = await stopped.promise;
  await Promise.all([rehearsal.stop(), local.stop(deadlineMs)]);
  for (const log of Object.values(logs)) log.flush();
}

function logOf(engine: EngineName, send: (message: FromEngine) => void): EngineLog {
  return new EngineLog(systemClock, (lines) => send({ t: 'lines', engine, lines }));
}

function engineParts(log: EngineLog): Omit<EngineParts, 'store'> {
  return {
    clock: systemClock,
    owner: `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`,
    random: Math.random,
    memory: () => ({ rssBytes: process.memoryUsage.rss(), limitBytes: MEMORY_LIMIT_BYTES }),
    onAttempt: (attempt) => log.attempt(attempt),
    onProblem: (problem) => log.problem(problem),
  };
}

async function answer(
  message: Request,
  engines: Engines,
  send: (message: FromEngine) => void,
): Promise<void> {
  const { request } = message;
  const { rehearsal, local } = engines;
  try {
    switch (message.t) {
      case 'sample':
        send({ t: 'sample', request, reading: await engines[message.engine].sample() });
        break;
      case 'admin': {
        const { call } = message;
        const given = await engines[message.engine].admin((admin) => answerAdmin(admin, call));
        send({ t: 'answer', request, answer: given });
        break;
      }
      case 'rehearse':
        await rehearsal.change(message.change);
        send({ t: 'done', request });
        break;
      case 'act':
        await rehearsal.act();
        send({ t: 'done', request });
        break;
      case 'settings':
        await local.configure(message.local.engine);
        send({ t: 'done', request });
        break;
    }
  } catch (error) {
    send({ t: 'failed', request, error: toWireError(error) });
  }
}
