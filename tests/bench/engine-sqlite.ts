// Jobs a second on SQLite, durable: `npm run bench:engine-sqlite -- --jobs 30000`.
//
// Ours is the engine with 10 workers whose jobs do nothing, over the store of one file: it claims and settles in batches, one
// commit each. The peer is the way it is usually written on SQLite, on an equally durable file (WAL, synchronous FULL): one commit
// to claim a job and one to finish it; being one writer, it loses nothing by having one worker. They take turns, on files side by side.
// Beside it: the store driven alone, the same with 1,000 tenants, and what enqueueing costs each way. To reach: 10 times the
// peer. The last line is JSON.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import type { Claim, NewJob } from '../../src/main/engine/job.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';

const ROUNDS = 5;
const WORKERS = 10;
const BATCH = 500;
const target = 10;

const { values } = parseArgs({ options: { jobs: { type: 'string', default: '30000' } } });
const jobs = Number(values.jobs);
if (!Number.isInteger(jobs) || jobs < 1_000) {
  console.error(`--jobs takes a whole number from 1000 on, not ${values.jobs}.`);
  process.exit(2);
}

const PAYLOAD = { to: 'a@example.com', subject: 'hello' };
const batches = (tenants: number): NewJob[][] =>
  Array.from({ length: Math.ceil(jobs / BATCH) }, (_, b) =>
    Array.from({ length: Math.min(BATCH, jobs - b * BATCH) }, (_job, i) => ({
      tenantId: `tenant-${(b * BATCH + i) % tenants}`,
      kind: 'mail',
      payload: PAYLOAD,
    })),
  );
const perSecond = (count: number, beganMs: number): number => (count * 1_000) / (performance.now() - beganMs);

const folder = await mkdtemp(join(tmpdir(), 'headway-bench-sqlite-'));
const figures = { engine: [0], tenants: [0], store: [0], peer: [0], enqueue: [0], peerEnqueue: [0] };
for (const list of Object.values(figures)) list.length = 0;
try {
  for (let round = 0; round <= ROUNDS; round++) {
    const engine = await byEngine(10);
    const peer = commitPerJob();
    const tenants = await byEngine(1_000);
    const store = await byStore(10);
    // The first warms the code and the disk.
    if (round === 0) continue;
    figures.engine.push(engine.perSecond);
    figures.enqueue.push(engine.enqueuedPerSecond);
    figures.tenants.push(tenants.perSecond);
    figures.store.push(store);
    figures.peer.push(peer.perSecond);
    figures.peerEnqueue.push(peer.enqueuedPerSecond);
    process.stderr.write(
      `round ${round}: engine ${whole(engine.perSecond)} jobs/s (1,000 tenants ${whole(tenants.perSecond)}, store alone ${whole(store)}), ` +
        `a commit per job ${whole(peer.perSecond)}; enqueued ${whole(engine.enqueuedPerSecond)} and ${whole(peer.enqueuedPerSecond)} a second\n`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const median = (list: number[]): number => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? NaN;
const ratio = median(figures.engine) / median(figures.peer);
console.log(
  JSON.stringify({
    bench: 'engine-sqlite',
    ours: Math.round(median(figures.engine)),
    peer: Math.round(median(figures.peer)),
    ratio: Math.round(ratio * 100) / 100,
    unit: 'jobs/s, durable',
    thousandTenants: Math.round(median(figures.tenants)),
    store: Math.round(median(figures.store)),
    enqueued: Math.round(median(figures.enqueue)),
    peerEnqueued: Math.round(median(figures.peerEnqueue)),
    holds: ratio >= target,
  }),
);
process.exitCode = ratio >= target ? 0 : 1;

/** From the start of the engine until the last end is stored. */
async function byEngine(tenants: number): Promise<{ perSecond: number; enqueuedPerSecond: number }> {
  await using store = SqliteStore.open({ file: join(folder, 'engine.db'), fresh: true });
  const { handler: _, ...policy } = jobKindSchema.parse({
    kind: 'mail',
    handler: { type: 'command', command: ['true'] },
  });
  const all = Promise.withResolvers<undefined>();
  let settled = 0;
  const engine = new Engine(
    {
      store,
      clock: systemClock,
      owner: 'bench',
      random: Math.random,
      memory: () => ({ rssBytes: process.memoryUsage.rss(), limitBytes: 4 * 2 ** 30 }),
      onAttempt: () => {
        if (++settled === jobs) all.resolve(undefined);
      },
      onProblem: (problem) => all.reject(problem),
    },
    [{ policy, handler: { kind: 'mail', runsIn: 'engine', run: () => Promise.resolve() } }],
    { workers: WORKERS, order: 'fair', tenants: {} },
  );
  const enqueueBeganMs = performance.now();
  for (const batch of batches(tenants)) await engine.enqueue(batch);
  const enqueuedPerSecond = perSecond(jobs, enqueueBeganMs);
  const beganMs = performance.now();
  await engine.start();
  await all.promise;
  const figure = perSecond(jobs, beganMs);
  await engine.stop(1_000);
  return { perSecond: figure, enqueuedPerSecond };
}

/** The store as the engine drives it: the ends of the last batch with the claims of the next. */
async function byStore(tenants: number): Promise<number> {
  await using store = SqliteStore.open({ file: join(folder, 'store.db'), fresh: true });
  for (const batch of batches(tenants)) await store.enqueue(batch, Date.now());
  const eligible = [{ kind: 'mail', limit: null }];
  let last: Claim[] = [];
  let cursor: string | null = null;
  const beganMs = performance.now();
  for (;;) {
    const ready = await store.ready({ after: cursor, limit: BATCH, eligible });
    const count = Math.ceil(BATCH / Math.max(1, ready.length));
    const takes = ready.map(({ tenantId }) => ({ tenantId, count }));
    cursor = takes.at(-1)?.tenantId ?? null;
    const { claims } = await store.exchange({
      owner: 'bench',
      settlements: last.map((claim) => ({ claim, how: 'done' as const })),
      take: { order: 'turns', takes },
      eligible,
      cursor,
      nowMs: Date.now(),
    });
    last = claims;
    if (claims.length === 0) return perSecond(jobs, beganMs);
  }
}

function commitPerJob(): { perSecond: number; enqueuedPerSecond: number } {
  // Its rounds are short: it is that much slower.
  const count = Math.ceil(jobs / 10);
  using db = new DatabaseSync(join(folder, 'peer.db'));
  db.exec(`
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    DROP TABLE IF EXISTS job;
    CREATE TABLE job (
      id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL,
      owner TEXT, started_at INTEGER
    ) STRICT;
    CREATE INDEX job_state ON job (state, id);`);
  const insert = db.prepare(`INSERT INTO job (tenant, kind, payload, state) VALUES (?, 'mail', ?, 'ready')`);
  const claim = db.prepare(`
    UPDATE job SET state = 'running', owner = 'bench', started_at = ?
    WHERE id = (SELECT id FROM job WHERE state = 'ready' ORDER BY id LIMIT 1) RETURNING id, tenant, kind, payload`);
  const finish = db.prepare('DELETE FROM job WHERE id = ?');
  const enqueueBeganMs = performance.now();
  for (let i = 0; i < count; i++) insert.run(`tenant-${i % 10}`, JSON.stringify(PAYLOAD));
  const enqueuedPerSecond = perSecond(count, enqueueBeganMs);
  const beganMs = performance.now();
  for (let done = 0; done < count; done++) {
    const row = claim.get(Date.now());
    JSON.parse(String(row?.['payload']));
    finish.run(Number(row?.['id']));
  }
  return { perSecond: perSecond(count, beganMs), enqueuedPerSecond };
}

function whole(figure: number): string {
  return Math.round(figure).toLocaleString('en-GB');
}
