// What a claim is worth when its process is killed: nothing lost, nothing counted twice.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';

const JOBS = 400;
const heard = z.object({
  started: z.int().optional(),
  ended: z.int().optional(),
  settled: z.int().optional(),
  problem: z.string().optional(),
});

let folder = '';
let children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headway-kill-'));
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await rm(folder, { recursive: true });
});

/** Runs the engine in a process of its own and hears what it says. */
function engineProcess(file: string, owner: string, runMs: number) {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'engine-child.ts'), file, owner, String(runMs)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  children.push(child);
  const said: z.infer<typeof heard>[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => said.push(heard.parse(JSON.parse(line))));
  const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]);
  const of = (what: 'started' | 'ended' | 'settled'): number[] => said.flatMap((line) => line[what] ?? []);
  return {
    of,
    problems: () => said.flatMap((line) => line.problem ?? []),
    async end(signal: 'SIGKILL' | 'SIGTERM') {
      child.kill(signal);
      await ended;
    },
  };
}

describe('kill -9 of an engine with jobs in flight', () => {
  it('loses no job: after restarts every job is done at least once, and late ends are refused', async () => {
    const file = join(folder, 'queue.db');
    let ids: number[];
    {
      await using store = SqliteStore.open({ file });
      const jobs = Array.from({ length: JOBS }, (_, i) => ({
        tenantId: `t${i % 7}`,
        kind: 'mail',
        payload: i,
      }));
      ids = (await store.enqueue(jobs, Date.now())).map((job) => job.id);
    }
    const done = new Set<number>();
    let reclaimed = 0;
    for (const owner of ['first', 'second', 'third']) {
      const engine = engineProcess(file, owner, 15);
      await vi.waitFor(() => expect(engine.of('settled').length).toBeGreaterThan(40), { timeout: 20_000 });
      await engine.end('SIGKILL');
      for (const id of engine.of('ended')) done.add(id);
      const lost = engine.of('started').filter((id) => !engine.of('settled').includes(id));

      // Nobody has the file now, though nobody closed it: what the dead engine ran is taken back.
      await using store = SqliteStore.open({ file });
      reclaimed += await store.reclaim({
        except: 'test',
        silentSinceMs: Number.MAX_SAFE_INTEGER,
        nowMs: Date.now(),
      });
      const late = await store.settle(
        lost.flatMap((id) => [1, 2, 3].map((fence) => ({ claim: { id, fence }, how: 'done' as const }))),
        Date.now(),
      );
      expect(late).not.toContain(true);
    }
    expect(reclaimed).toBeGreaterThan(0);

    const last = engineProcess(file, 'last', 0);
    const remaining = () => ids.filter((id) => !done.has(id) && !last.of('ended').includes(id));
    await vi.waitFor(() => expect(remaining()).toEqual([]), { timeout: 20_000 });
    await last.end('SIGTERM');
    expect(last.problems()).toEqual([]);

    await using store = SqliteStore.open({ file });
    const { tenants } = await store.depths(0);
    const sum = (of: 'ready' | 'delayed' | 'running' | 'dead') =>
      tenants.reduce((total, tenant) => total + tenant[of].value, 0);
    expect({
      ready: sum('ready'),
      delayed: sum('delayed'),
      running: sum('running'),
      dead: sum('dead'),
    }).toEqual({
      ready: 0,
      delayed: 0,
      running: 0,
      dead: 0,
    });
    // Every attempt is counted once: the successful one of each job and those that were cut off.
    expect(tenants.reduce((total, tenant) => total + tenant.attemptsTotal, 0)).toBe(JOBS + reclaimed);
  });

  it('gives back at SIGTERM what it could not finish', async () => {
    const file = join(folder, 'queue.db');
    {
      await using store = SqliteStore.open({ file });
      await store.enqueue(
        Array.from({ length: 20 }, () => ({ tenantId: 'a', kind: 'mail', payload: null })),
        Date.now(),
      );
    }
    const engine = engineProcess(file, 'one', 60_000);
    await vi.waitFor(() => expect(engine.of('started')).toHaveLength(8), { timeout: 20_000 });
    await engine.end('SIGTERM');
    await using store = SqliteStore.open({ file });
    expect((await store.depths(0)).tenants[0]).toMatchObject({
      ready: { value: 20 },
      running: { value: 0 },
      attemptsTotal: 0,
    });
  });
});
