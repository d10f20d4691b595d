// What an engine costs that has nothing to do: `npm run bench:engine-idle -- --seconds 20 --rounds 2`.
//
// Ours on SQLite, ours on PostgreSQL, and Graphile Worker (the peer) on the same PostgreSQL, in turn, each in a process of
// its own that has worked off a thousand jobs before. The figure is the processor time of that process while it is idle, in
// percent of one core: under 0.5 for us. The last line is JSON.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeWorkerUtils, run as runGraphile } from 'graphile-worker';
import { z } from 'zod';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import { PostgresStore } from '../../src/main/engine/stores/postgres-store.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import type { Store } from '../../src/main/engine/stores/store.ts';
import { type Postgres, startPostgres } from '../harness/postgres.ts';
import { tempDir } from '../harness/temp.ts';

const WORKERS = 10;
const JOBS = 1_000;
/** Until connections, caches and the compiler have come to rest. */
const SETTLE_MS = 5_000;
const ALLOWED_PERCENT = 0.5;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '2' },
    /** One of the systems, and where it keeps its jobs: what the processes of this bench are started with. */
    system: { type: 'string' },
    at: { type: 'string', default: '' },
  },
});
const seconds = Number(values.seconds);
const figure = z.object({ percent: z.number() });

const systems = ['sqlite', 'postgres', 'peer'] as const;
type System = (typeof systems)[number];

if (values.system === undefined) await compare(Number(values.rounds));
else await idle(z.enum(systems).parse(values.system), values.at);

async function compare(rounds: number): Promise<void> {
  await using db = await startPostgres();
  await using folder = await tempDir('idle');
  const percents: Record<System, number[]> = { sqlite: [], postgres: [], peer: [] };
  for (let round = 0; round < rounds; round++) {
    for (const system of systems) {
      const at =
        system === 'sqlite' ? join(folder.path, `${round}.db`) : await newDatabase(db, system, round);
      const percent = await measure(system, at);
      percents[system].push(percent);
      process.stderr.write(`round ${round + 1}, ${system}: ${percent.toFixed(2)} % of a core\n`);
    }
  }
  const worst = (list: number[]): number => Math.max(...list);
  const ours = Math.max(worst(percents.sqlite), worst(percents.postgres));
  const peer = Math.min(...percents.peer);
  console.log(
    JSON.stringify({
      bench: 'engine-idle',
      ours: round(ours),
      sqlite: round(worst(percents.sqlite)),
      postgres: round(worst(percents.postgres)),
      peer: round(peer),
      // An engine that costs nothing at all would make the ratio infinite.
      ratio: round(peer / Math.max(0.01, ours)),
      unit: '% of a core while idle, the worst round',
      holds: ours < ALLOWED_PERCENT,
    }),
  );
}

/** Its URL. */
async function newDatabase(db: Postgres, system: System, round: number): Promise<string> {
  const name = `idle_${system}_${round}`;
  const client = await db.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  return `postgres://${db.user}:${db.password}@${db.host}:${db.port}/${name}`;
}

async function measure(system: System, at: string): Promise<number> {
  const program = fileURLToPath(import.meta.url);
  const args = [program, '--system', system, '--at', at, '--seconds', String(seconds)];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  // The peer logs each of its jobs before.
  return figure.parse(JSON.parse(output.trimEnd().split('\n').at(-1) ?? '')).percent;
}

/** In a process of its own: works off some jobs, then does nothing. */
async function idle(system: System, at: string): Promise<void> {
  await using stack = new AsyncDisposableStack();
  stack.defer(await (system === 'peer' ? peer(at) : ours(await open(system, at))));
  await sleep(SETTLE_MS);
  const began = process.cpuUsage();
  const beganMs = performance.now();
  await sleep(seconds * 1_000);
  const { user, system: kernel } = process.cpuUsage(began);
  const percent = ((user + kernel) / 1_000 / (performance.now() - beganMs)) * 100;
  console.log(JSON.stringify({ percent }));
}

async function open(system: 'sqlite' | 'postgres', at: string): Promise<Store> {
  if (system === 'sqlite') return SqliteStore.open({ file: at });
  const { hostname, port, username, password, pathname } = new URL(at);
  const database = pathname.slice(1);
  return await PostgresStore.open({ host: hostname, port: Number(port), user: username, password, database });
}

/** Resolves when the jobs are done, with what ends it. */
async function ours(store: Store): Promise<() => Promise<void>> {
  const { handler: _, ...policy } = jobKindSchema.parse({
    kind: 'bench',
    handler: { type: 'http', url: 'http://127.0.0.1' },
  });
  let left = JOBS;
  const done = Promise.withResolvers<undefined>();
  const engine = new Engine(
    {
      store,
      clock: systemClock,
      owner: 'idle',
      random: Math.random,
      memory: () => ({ rssBytes: process.memoryUsage.rss(), limitBytes: 2 ** 32 }),
      onAttempt: () => {
        left -= 1;
        if (left === 0) done.resolve(undefined);
      },
      onProblem: (problem) => console.error(problem),
    },
    [{ policy, handler: { kind: 'bench', runsIn: 'engine', run: () => Promise.resolve() } }],
    { workers: WORKERS, order: 'fair', tenants: {} },
  );
  await engine.start();
  await engine.enqueue(
    Array.from({ length: JOBS }, (_, i) => ({ tenantId: `t${i % 10}`, kind: 'bench', payload: null })),
  );
  await done.promise;
  return async () => {
    await engine.stop(0);
    await store[Symbol.asyncDispose]();
  };
}

/** As it comes: it polls every two seconds and listens for new jobs. */
async function peer(connectionString: string): Promise<() => Promise<void>> {
  const utils = await makeWorkerUtils({ connectionString });
  await utils.migrate();
  let left = JOBS;
  const done = Promise.withResolvers<undefined>();
  const runner = await runGraphile({
    connectionString,
    concurrency: WORKERS,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: {
      bench: () => {
        left -= 1;
        if (left === 0) done.resolve(undefined);
      },
    },
  });
  await utils.addJobs(Array.from({ length: JOBS }, () => ({ identifier: 'bench', payload: null })));
  await done.promise;
  return async () => {
    await runner.stop();
    await utils.release();
  };
}

function round(percent: number): number {
  return Math.round(percent * 100) / 100;
}
