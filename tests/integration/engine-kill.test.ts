// What a claim is worth when its process is killed: nothing lost, nothing counted twice.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import type { Settlement } from '../../src/main/engine/job.ts';
import { type TempDir, tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';

const JOBS = 10_000;
const TENANTS = 7;
const WORKERS = 64;
const heard = z.object({
  started: z.int().optional(),
  ended: z.int().optional(),
  settled: z.int().optional(),
  problem: z.string().optional(),
});
type Word = keyof z.infer<typeof heard>;

let folder: TempDir;
let children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await tempDir('kill');
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await folder[Symbol.asyncDispose]();
});

const jobs = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    tenantId: `t${i % TENANTS}`,
    kind: 'mail',
    payload: i,
    maxAttempts: 10,
  }));

/** Runs the engine in a process of its own and hears what it says. */
function engineProcess(file: string, owner: string, options: { workers: number; runMs: number }) {
  const program = join(import.meta.dirname, 'engine-child.ts');
  const args = [program, file, owner, String(options.workers), String(options.runMs)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const ids = { started: new Set<number>(), ended: new Set<number>(), settled: new Set<number>() };
  const problems: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const { problem, ...said } = heard.parse(JSON.parse(line));
    if (problem !== undefined) problems.push(problem);
    for (const [word, id] of Object.entries(said) as [Exclude<Word, 'problem'>, number][]) ids[word].add(id);
  });
  const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]);
  return {
    ...ids,
    problems,
    async end(signal: 'SIGKILL' | 'SIGTERM') {
      child.kill(signal);
      await ended;
    },
  };
}

async function sums(file: string) {
  await using store = SqliteStore.open({ file });
  const { tenants } = await store.depths(0);
  const sum = (of: 'ready' | 'delayed' | 'running' | 'dead') =>
    tenants.reduce((total, tenant) => total + tenant[of].value, 0);
  const attempts = tenants.reduce((total, tenant) => total + tenant.attemptsTotal, 0);
  return {
    ready: sum('ready'),
    delayed: sum('delayed'),
    running: sum('running'),
    dead: sum('dead'),
    attempts,
  };
}

describe('kill -9 of an engine with 10,000 jobs in flight', () => {
  it('loses no job: after restarts every job is done at least once, and late ends are refused', async () => {
    const file = join(folder.path, 'queue.db');
    let ids: number[];
    {
      await using store = SqliteStore.open({ file });
      ids = (await store.enqueue(jobs(JOBS), Date.now())).map((job) => job.id);
    }
    const done = new Set<number>();
    let reclaimed = 0;
    for (const owner of ['first', 'second', 'third']) {
      const engine = engineProcess(file, owner, { workers: WORKERS, runMs: 5 });
      await until(() => engine.settled.size > JOBS / 6, `${owner} settled only ${engine.settled.size} jobs`);
      await engine.end('SIGKILL');
      for (const id of engine.ended) done.add(id);
      const lost = [...engine.started].filter((id) => !engine.settled.has(id));

      // Nobody has the file now, though nobody closed it: what the dead engine had is taken back.
      await using store = SqliteStore.open({ file });
      reclaimed += await store.reclaim({
        except: 'test',
        silentSinceMs: Number.MAX_SAFE_INTEGER,
        nowMs: Date.now(),
      });
      const late = lost.flatMap((id) =>
        [1, 2, 3].map((fence): Settlement => ({
          claim: { id, fence, tenantId: `t${(id - 1) % TENANTS}`, kind: 'mail' },
          how: 'done',
        })),
      );
      const { taken } = await store.exchange({
        owner,
        settlements: late,
        take: null,
        eligible: [],
        cursor: null,
        nowMs: Date.now(),
      });
      expect(taken).not.toContain(true);
    }
    expect(reclaimed).toBeGreaterThan(0);

    const last = engineProcess(file, 'last', { workers: WORKERS, runMs: 0 });
    const remaining = () => ids.filter((id) => !done.has(id) && !last.ended.has(id));
    await until(
      () => remaining().length === 0,
      () => `not done: ${remaining().slice(0, 10).join(', ')}`,
      30_000,
    );
    await last.end('SIGTERM');
    expect(last.problems).toEqual([]);

    // Every attempt is counted once: the successful one of each job and those that were cut off.
    expect(await sums(file)).toEqual({
      ready: 0,
      delayed: 0,
      running: 0,
      dead: 0,
      attempts: JOBS + reclaimed,
    });
  });

  it('gives back at SIGTERM what it could not finish', async () => {
    const file = join(folder.path, 'queue.db');
    {
      await using store = SqliteStore.open({ file });
      await store.enqueue(jobs(20), Date.now());
    }
    const engine = engineProcess(file, 'one', { workers: 8, runMs: 60_000 });
    await until(() => engine.started.size === 8, 'the engine did not start its jobs');
    await engine.end('SIGTERM');
    expect(await sums(file)).toEqual({ ready: 20, delayed: 0, running: 0, dead: 0, attempts: 0 });
  });
});
