// An engine on a store in memory behind its HTTP face, and a client that says what it gets.
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import type { EngineKind } from '../../src/main/engine/engine-parts.ts';
import { AttemptLedger } from '../../src/main/engine/intake/attempt-ledger.ts';
import type { IntakeEngine } from '../../src/main/engine/intake/intake-port.ts';
import { type IntakeLimits, IntakeServer } from '../../src/main/engine/intake/intake-server.ts';
import { PullDesk } from '../../src/main/engine/intake/pull-desk.ts';
import { pulledKind, reportWithPulled } from '../../src/main/engine/intake/pulled-kind.ts';
import { PayloadLimits } from '../../src/main/engine/intake/row-refusal.ts';
import { MemoryStore } from '../../src/main/engine/stores/memory-store.ts';
import type { Attempt } from '../../src/main/engine/workers/attempt.ts';
import type { Handler } from '../../src/main/engine/workers/handler.ts';

export const TOKEN = 'a-token-that-nobody-guesses';

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json: () => unknown;
}

export interface Ask {
  method?: string;
  body?: string | Buffer | undefined;
  headers?: Record<string, string>;
  token?: string | null;
}

export interface IntakeFixture extends AsyncDisposable {
  port: number;
  server: IntakeServer;
  engine: Engine;
  store: MemoryStore;
  desk: PullDesk;
  /** Kinds and payloads of jobs that ran in the engine. */
  ran: string[];
  problems: Error[];
  ask: (path: string, ask?: Ask) => Promise<Reply>;
  /** One job as JSON. */
  push: (job: unknown, headers?: Record<string, string>) => Promise<Reply>;
  /** Rows as NDJSON. */
  pushRows: (rows: readonly unknown[], path?: string, headers?: Record<string, string>) => Promise<Reply>;
}

export interface FixtureOptions {
  limits?: Partial<IntakeLimits>;
  /** In place of the engine's own. */
  overrides?: Partial<IntakeEngine>;
}

const declared = [
  { kind: 'mail' },
  { kind: 'small', payloadLimitMegabytes: 0.001 },
  { kind: 'parent' },
  { kind: 'child', dependsOn: ['parent'] },
  { kind: 'pulled', handler: { type: 'pull' }, timeouts: { jobSeconds: 100 } },
].map((kind) => jobKindSchema.parse({ handler: { type: 'module', file: 'none' }, ...kind }));

export async function startIntake({ limits, overrides }: FixtureOptions = {}): Promise<IntakeFixture> {
  await using cleanup = new AsyncDisposableStack();
  const store = new MemoryStore();
  const ran: string[] = [];
  const problems: Error[] = [];
  const attempts = new AttemptLedger();
  const shared = {
    store,
    clock: systemClock,
    owner: 'one',
    random: Math.random,
    onProblem: (problem: Error) => void problems.push(problem),
    onAttempt: ({ claim, waitMs, runMs, failure }: Attempt) =>
      attempts.add({ kind: claim.kind, waitMs, runMs, errorClass: failure?.class ?? null }),
  };
  const handlerOf = (kind: string): Handler => ({
    kind,
    runsIn: 'engine',
    run: (job) => {
      ran.push(`${kind} ${JSON.stringify(job.payload)}`);
      return Promise.resolve();
    },
  });
  const kinds = declared.map((kind): EngineKind => {
    if (kind.handler.type === 'pull') return pulledKind(kind);
    const { handler: _, ...policy } = kind;
    return { policy, handler: handlerOf(kind.kind) };
  });
  const tuning = { workers: 4, order: 'fair' as const, tenants: {} };
  const memory = () => ({ rssBytes: 1, limitBytes: 1_000 });
  const engine = new Engine({ ...shared, memory }, kinds, tuning);
  cleanup.defer(() => engine.stop(0));
  const desk = new PullDesk(
    shared,
    declared.filter(({ handler }) => handler.type === 'pull'),
    tuning,
  );
  cleanup.defer(() => desk.stop(0));
  const server = new IntakeServer({
    engine: {
      enqueue: (jobs) => engine.enqueue(jobs),
      enqueueEach: (jobs) => engine.enqueueEach(jobs),
      snapshot: (frontLimit) => engine.snapshot(frontLimit),
      recentOf: (id) => engine.recentOf(id),
      report: () => reportWithPulled(engine.report(), (kind) => desk.leasedOf(kind)),
      ...overrides,
    },
    store,
    desk,
    dependentKinds: new Set(['child']),
    payloads: new PayloadLimits(new Map(declared.map((kind) => [kind.kind, kind.payloadLimitMegabytes]))),
    attempts,
    clock: systemClock,
    token: TOKEN,
    onProblem: shared.onProblem,
    ...(limits === undefined ? {} : { limits }),
  });
  cleanup.defer(() => server.stop(0));
  const port = await server.start('127.0.0.1', 0);
  await engine.start();
  await desk.start();
  const ask = (path: string, options: Ask = {}) => askServer(port, path, options);
  const owned = cleanup.move();
  return {
    port,
    server,
    engine,
    store,
    desk,
    ran,
    problems,
    ask,
    push: (job, headers = {}) =>
      ask('/jobs', {
        method: 'POST',
        body: JSON.stringify(job),
        headers: { 'Content-Type': 'application/json', ...headers },
      }),
    pushRows: (rows, path = '/jobs', headers = {}) =>
      ask(path, {
        method: 'POST',
        body: rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n'),
        headers: { 'Content-Type': 'application/x-ndjson', ...headers },
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** One request on a connection of its own. */
export function askServer(
  port: number,
  path: string,
  { method = 'GET', body, headers = {}, token = TOKEN }: Ask = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      port,
      host: '127.0.0.1',
      path,
      method,
      agent: false,
      headers: { ...(token === null ? {} : { Authorization: `Bearer ${token}` }), ...headers },
    });
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.once('error', reject);
      response.once('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => JSON.parse(text) as unknown,
        }),
      );
    });
    request.end(body);
  });
}
