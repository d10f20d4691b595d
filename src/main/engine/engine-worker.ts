// Entry of the engine's thread: the store, the engine and the rehearsal, told by messages. See engine-host.ts.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { toWireError } from '../../contract/errors.ts';
import { systemClock } from './clock.ts';
import { Engine } from './engine.ts';
import { EngineLog } from './engine-log.ts';
import {
  type EngineReading,
  type EngineThreadData,
  engineThreadDataSchema,
  type FromEngine,
  type ToEngine,
  toEngineSchema,
} from './engine-messages.ts';
import { Rehearsal } from './rehearsal.ts';
import { mailHandler, tenants } from './rehearsal-workload.ts';
import { SqliteStore } from './stores/sqlite-store.ts';

/** So many ready jobs are looked at to tell who is ahead of whom; what lies deeper counts as "at least". */
const FRONT_LIMIT = 2_000;

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
  { folder, switches }: EngineThreadData,
  send: (message: FromEngine) => void,
): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await using store = SqliteStore.open({ file: join(folder, 'queue.db'), fresh: true });
  const log = new EngineLog(systemClock, (lines) => send({ t: 'lines', lines }));
  const onProblem = (problem: Error): void => log.problem(problem);
  const engine = new Engine(
    {
      store,
      clock: systemClock,
      owner: randomUUID(),
      handlers: [mailHandler(systemClock)],
      onAttempt: (attempt) => log.attempt(attempt),
      onProblem,
    },
    switches,
  );
  const rehearsal = new Rehearsal({
    engine,
    clock: systemClock,
    random: Math.random,
    switches,
    onChange: (state) => send({ t: 'rehearsal', rehearsal: state }),
    onNote: (text) => log.note(text),
    onProblem,
  });
  await engine.start();
  rehearsal.start();
  const stopped = Promise.withResolvers<number>();
  port.on('message', (raw: unknown) => {
    const message = toEngineSchema.parse(raw);
    if (message.t === 'stop') stopped.resolve(message.deadlineMs);
    else void answer(message, engine, rehearsal, send);
  });
  send({ t: 'started' });
  const deadlineMs = await stopped.promise;
  rehearsal.stop();
  await engine.stop(deadlineMs);
  log.flush();
}

async function answer(
  message: Exclude<ToEngine, { t: 'stop' }>,
  engine: Engine,
  rehearsal: Rehearsal,
  send: (message: FromEngine) => void,
): Promise<void> {
  const { request } = message;
  try {
    switch (message.t) {
      case 'set':
        rehearsal.set(message.switches);
        send({ t: 'done', request });
        break;
      case 'burst':
        await rehearsal.burst();
        send({ t: 'done', request });
        break;
      case 'sample':
        send({ t: 'sample', request, reading: await read(engine) });
        break;
    }
  } catch (error) {
    send({ t: 'failed', request, error: toWireError(error) });
  }
}

/** Every tenant of the rehearsal, also those that have had no job yet. */
async function read(engine: Engine): Promise<EngineReading> {
  const beginMs = performance.now();
  const snapshot = await engine.snapshot(FRONT_LIMIT);
  const known = new Map(snapshot.tenants.map((tenant) => [tenant.tenantId, tenant]));
  const none = { value: 0, kind: 'exact' } as const;
  return {
    ...snapshot,
    tenants: tenants.map(
      ({ id }) =>
        known.get(id) ?? {
          tenantId: id,
          ready: none,
          delayed: none,
          running: none,
          dead: none,
          oldestReady: null,
          oldestRunningAtMs: null,
          lastStartedAtMs: null,
          arrivalsTotal: 0,
          attemptsTotal: 0,
          frontIds: [],
        },
    ),
    readMs: performance.now() - beginMs,
  };
}
