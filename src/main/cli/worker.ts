// `headway worker`: the engine without a window, on a server, as one of several machines on one store.
import { randomBytes } from 'node:crypto';
import { hostname, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { HeadwayError } from '../../contract/errors.ts';
import type { EngineSettings, JobKind } from '../../contract/job-kinds.ts';
import { systemClock } from '../engine/clock.ts';
import { Bulks } from '../engine/bulk.ts';
import { Engine } from '../engine/engine.ts';
import { AttemptLedger } from '../engine/intake/attempt-ledger.ts';
import { IntakeServer } from '../engine/intake/intake-server.ts';
import { PullDesk } from '../engine/intake/pull-desk.ts';
import { reportWithPulled } from '../engine/intake/pulled-kind.ts';
import { PayloadLimits } from '../engine/intake/row-refusal.ts';
import { statusLine } from '../engine/intake/status-line.ts';
import type { Store } from '../engine/stores/store.ts';
import { type Attempt, timingLine } from '../engine/workers/attempt.ts';
import { Executors } from '../engine/workers/handlers/executors.ts';
import { isLoopback, urlHost } from '../host/web-addresses.ts';
import { FileSecrets } from '../settings/file-secrets.ts';
import { resolveSecret } from '../settings/resolve-secret.ts';
import { dataDirectoryOf } from './configuration.ts';
import { EXIT, type ExitCode, exitWith, StoreFailure } from './exit-codes.ts';
import { type JobStoreOptions, openJobStore } from './job-store.ts';
import { readJobsFile } from './jobs-file.ts';
import { type ListenAddress, listenAddress } from './listen-address.ts';
import { loadKinds } from './worker-kinds.ts';
import { WorkerLog } from './worker-log.ts';
import { tokenOf } from './worker-token.ts';

export interface WorkerOptions extends JobStoreOptions {
  jobs: string;
  workers?: number;
  http?: string;
  tokenFile?: string;
  name?: string;
  /** Megabytes. */
  memory?: number;
  /** Seconds; 0 for never. */
  reportEvery: number;
  data?: string;
}

const MB = 2 ** 20;
/** What is left of the stop time for answers that are on their way when the work has stopped. */
const LAST_ANSWERS_MS = 1_000;
/** A process that will not end by itself is ended; something holds it that should not. */
const LAST_RESORT_MS = 5_000;

export async function worker(options: WorkerOptions): Promise<void> {
  // From the beginning, so that a signal during the start ends in good order too.
  using stop = new StopSignal();
  await exitWith(() => run(options, stop.first));
  setTimeout(() => process.exit(), LAST_RESORT_MS).unref();
}

async function run(options: WorkerOptions, stop: Promise<string>): Promise<ExitCode> {
  const address = options.http === undefined ? null : listenAddress(options.http);
  const { settings, folder } = await readJobsFile(options.jobs);
  const workers = workersOf(options, settings);
  await using stack = new AsyncDisposableStack();
  const log = stack.use(new WorkerLog());
  const onProblem = (problem: Error): void => log.problem(problem);
  const executors = stack.use(new Executors(systemClock, workers));
  const secrets = new FileSecrets(join(dataDirectoryOf(options), 'secrets.json'));
  const secret = (ref: Parameters<typeof resolveSecret>[0], what: string): Promise<string> =>
    resolveSecret(ref, what, { environment: process.env, store: secrets });
  const kinds = await loadKinds(settings.kinds, { folder, secret, clock: systemClock, executors }, stack);
  const pulled = settings.kinds.filter(({ handler }) => handler.type === 'pull');
  if (pulled.length > 0 && address === null)
    throw new HeadwayError(
      'settings-invalid',
      `Kinds with the handler "pull" (${pulled.map(({ kind }) => kind).join(', ')}) need --http HOST:PORT to be taken from.`,
    );
  const token = address === null ? null : await intakeToken(options, address);
  const store = stack.use(await openJobStore(options));

  const attempts = new AttemptLedger();
  const onAttempt = (attempt: Attempt): void => {
    const { claim, waitMs, runMs, failure } = attempt;
    attempts.add({ kind: claim.kind, waitMs, runMs, errorClass: failure?.class ?? null });
    log.line(timingLine(attempt));
  };
  const owner = options.name ?? `${hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`;
  const shared = { store, clock: systemClock, owner, random: Math.random, onAttempt, onProblem };
  const tuning = { workers, order: settings.order, tenants: settings.tenants };
  // Long operations that a window asks for, as on every engine.
  const bulks = new Bulks(store, () => engine.wake());
  const engine = new Engine({ ...shared, memory: memoryOf(options) }, [...kinds, bulks.kind], tuning);
  stack.defer(() => engine.stop(0));
  const desk = pulled.length === 0 ? null : new PullDesk(shared, pulled, tuning);
  stack.defer(() => desk?.stop(0));
  const report = () => reportWithPulled(engine.report(), (kind) => desk?.leasedOf(kind) ?? null);

  const server =
    token === null
      ? null
      : new IntakeServer({
          engine: {
            enqueue: (jobs) => engine.enqueue(jobs),
            enqueueEach: (jobs) => engine.enqueueEach(jobs),
            snapshot: (frontLimit) => engine.snapshot(frontLimit),
            recentOf: (id) => engine.recentOf(id),
            report,
          },
          store,
          desk,
          dependentKinds: new Set(
            settings.kinds.flatMap(({ kind, dependsOn }) => (dependsOn.length > 0 ? kind : [])),
          ),
          payloads: payloadLimits(settings.kinds),
          attempts,
          clock: systemClock,
          token: token.token,
          onProblem,
        });
  if (server && address && token) {
    stack.defer(() => server.stop(0));
    const port = await server.start(address.host, address.port);
    log.line(
      `HTTP intake: http://${urlHost(address.host)}:${port}, token ${token.fresh ? 'made' : 'read'} in ${token.file}`,
    );
  }
  await begin(engine, desk);
  log.line(
    `${owner} works on ${store.description}: ${workers} workers, order ${settings.order}, ${kinds.length} kinds`,
  );
  stack.use(statusReports(options.reportEvery, () => log.line(statusLine(report(), desk?.counts ?? null))));

  log.line(`${owner} stops: ${await stop}`);
  const deadlineMs = settings.stopSeconds * 1000;
  const inTime = await stopWithin(deadlineMs, { engine, desk, server, store, owner });
  log.line(statusLine(report(), desk?.counts ?? null));
  return inTime ? EXIT.ok : EXIT.cutShort;
}

/** An engine of the same name, or a store that fails now, is the store's refusal. */
async function begin(engine: Engine, desk: PullDesk | null): Promise<void> {
  try {
    await engine.start();
    await desk?.start();
  } catch (cause) {
    throw new StoreFailure('the store refused the engine', { cause });
  }
}

/** False when something was still running at the deadline. */
async function stopWithin(
  deadlineMs: number,
  {
    engine,
    desk,
    server,
    store,
    owner,
  }: { engine: Engine; desk: PullDesk | null; server: IntakeServer | null; store: Store; owner: string },
): Promise<boolean> {
  const beganMs = performance.now();
  server?.refuseWork();
  const busy = engine.report().workers.some(({ state }) => state === 'busy');
  const leased = (desk?.counts.leased ?? 0) > 0;
  const deskStopped = desk?.stop(deadlineMs);
  await engine.stop(deadlineMs);
  if ((desk?.counts.leased ?? 0) > 0) {
    // The engine has signed off, and what is leased goes by its name: nobody may take it while there is time.
    await store.beat(owner, JSON.stringify(engine.report()), await store.time());
    await deskStopped;
    await store.leave(owner);
  }
  await deskStopped;
  const inTime = performance.now() - beganMs < deadlineMs || (!busy && !leased);
  await server?.stop(Math.max(LAST_ANSWERS_MS, deadlineMs - (performance.now() - beganMs)));
  return inTime;
}

/** `--workers`, else `HEADWAY_WORKERS`, else what the jobs file says. */
function workersOf({ workers }: WorkerOptions, settings: EngineSettings): number {
  const fromEnvironment = process.env['HEADWAY_WORKERS'] ?? '';
  if (workers !== undefined) return workers;
  if (fromEnvironment === '') return settings.workers;
  const count = Number(fromEnvironment);
  if (Number.isInteger(count) && count >= 1 && count <= 512) return count;
  throw new HeadwayError(
    'settings-invalid',
    `HEADWAY_WORKERS=${fromEnvironment}: use a whole number from 1 to 512`,
  );
}

async function intakeToken(
  options: WorkerOptions,
  address: ListenAddress,
): Promise<{ token: string; fresh: boolean; file: string }> {
  if (options.tokenFile === undefined && !isLoopback(address.host))
    throw new HeadwayError(
      'settings-invalid',
      `--http ${options.http ?? ''} can be reached by other computers: name the file with its token (--token-file FILE; ` +
        'it is made when it is not there), and let a proxy with TLS stand before it.',
    );
  const file = resolve(options.tokenFile ?? join(dataDirectoryOf(options), 'engine-token'));
  return { ...(await tokenOf(file)), file };
}

const payloadLimits = (kinds: readonly JobKind[]): PayloadLimits =>
  new PayloadLimits(new Map(kinds.map(({ kind, payloadLimitMegabytes }) => [kind, payloadLimitMegabytes])));

/** `--memory`, else the container's limit, else half of the machine and at most 2 GB. */
function memoryOf({ memory }: WorkerOptions): () => { rssBytes: number; limitBytes: number } {
  const allBytes = totalmem();
  const containerBytes = process.constrainedMemory();
  const usualBytes =
    containerBytes > 0 && containerBytes < allBytes ? containerBytes : Math.min(allBytes / 2, 2_048 * MB);
  const limitBytes = memory === undefined ? Math.floor(usualBytes) : memory * MB;
  return () => ({ rssBytes: process.memoryUsage.rss(), limitBytes });
}

/** Every so often, and on SIGUSR2. */
function statusReports(everySeconds: number, tell: () => void): Disposable {
  const timer = everySeconds > 0 ? setInterval(tell, everySeconds * 1000) : null;
  // Windows has no such signal.
  if (process.platform !== 'win32') process.on('SIGUSR2', tell);
  return {
    [Symbol.dispose]() {
      if (timer) clearInterval(timer);
      process.off('SIGUSR2', tell);
    },
  };
}

/** The first signal ends it in good order. A second one ends the process at once: what it holds is reclaimed from the store. */
class StopSignal implements Disposable {
  /** Resolves with the first signal's name. */
  readonly first: Promise<string>;
  /** An idle engine has nothing else that keeps its process alive. */
  readonly #stay = setInterval(() => undefined, 2 ** 30);
  readonly #onSignal: (name: string) => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string>();
    let seen = 0;
    this.first = promise;
    this.#onSignal = (name) => {
      seen += 1;
      if (seen === 1) resolve(name);
      else process.exit(EXIT.failed);
    };
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#stay);
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }
}
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
