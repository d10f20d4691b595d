// What the SQLite store promises when its disk is full: nothing by halves, nothing lost, and on as soon as there is space.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import type { Claim, NewJob } from '../../src/main/engine/job.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import type { Exchange } from '../../src/main/engine/stores/store.ts';
import { until } from '../harness/until.ts';

const DISK_MEGABYTES = 16;
/** What a test leaves of it to begin with. */
const LITTLE_BYTES = 1_500_000;

/** A disk of its own, small, in memory. */
class SmallDisk implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'headway-full-disk-'));
  readonly why: string | null;

  constructor() {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MEGABYTES}m`, 'tmpfs', this.path]);
    this.why = mounted.status === 0 ? null : (mounted.error?.message ?? String(mounted.stderr)).trim();
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Takes all that is free but so many bytes. */
  fill(exceptBytes: number): void {
    const ballast = openSync(join(this.path, 'ballast'), 'a');
    try {
      const chunk = Buffer.alloc(4_096, 1);
      while (this.freeBytes > exceptBytes) writeSync(ballast, chunk);
      fsyncSync(ballast);
    } finally {
      closeSync(ballast);
    }
  }

  makeSpace(): void {
    rmSync(join(this.path, 'ballast'));
  }

  [Symbol.dispose](): void {
    if (this.why === null) spawnSync('umount', [this.path]);
    rmdirSync(this.path);
  }
}

const canMount = ((): boolean => {
  using disk = new SmallDisk();
  if (disk.why !== null)
    console.warn(`SKIPPED: the full disk of the SQLite store (no tmpfs here: ${disk.why})`);
  return disk.why === null;
})();

const ELIGIBLE = [{ kind: 'mail', limit: null }];
const ask = (more: Partial<Exchange>): Exchange => ({
  owner: 'one',
  settlements: [],
  take: null,
  eligible: ELIGIBLE,
  cursor: null,
  nowMs: Date.now(),
  ...more,
});
let keys = 0;
/** 40 jobs of about 2 KB, each with a key of its own. */
const batch = (): NewJob[] =>
  Array.from({ length: 40 }, (_, i) => ({
    tenantId: `tenant-${i % 4}`,
    kind: 'mail',
    payload: { n: ++keys, text: 'x'.repeat(2_000) },
    idempotencyKey: `key-${keys}`,
  }));
const done = (claims: readonly Claim[]) => claims.map((claim) => ({ claim, how: 'done' as const }));

async function countsOf(store: SqliteStore): Promise<{ ready: number; running: number; arrivals: number }> {
  const { tenants } = await store.depths(0);
  const sum = (of: (tenant: (typeof tenants)[number]) => number) =>
    tenants.reduce((total, one) => total + of(one), 0);
  return {
    ready: sum((one) => one.ready.value),
    running: sum((one) => one.running.value),
    arrivals: sum((one) => one.arrivalsTotal),
  };
}

/** Enqueues until the disk is full; answers the ids that were accepted and the batch that was not. */
async function enqueueUntilFull(
  store: SqliteStore,
): Promise<{ ids: number[]; refused: NewJob[]; error: unknown }> {
  const ids: number[] = [];
  for (let i = 0; i < 1_000; i++) {
    const jobs = batch();
    try {
      ids.push(...(await store.enqueue(jobs, Date.now())).map(({ id }) => id));
    } catch (error) {
      return { ids, refused: jobs, error };
    }
  }
  throw new Error('the disk was never full');
}

describe.skipIf(!canMount)('a full disk under the SQLite store', () => {
  let disk: SmallDisk;
  let file: string;
  beforeEach(() => {
    disk = new SmallDisk();
    file = join(disk.path, 'queue.db');
  });
  afterEach(() => {
    disk[Symbol.dispose]();
  });
  const isSound = (): void => {
    using reader = new DatabaseSync(file, { readOnly: true });
    expect(reader.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  };

  it('enqueues nothing by halves, says which file and what to do, and goes on when there is space', async () => {
    const accepted: number[] = [];
    {
      await using store = SqliteStore.open({ file });
      accepted.push(...(await store.enqueue(batch(), Date.now())).map(({ id }) => id));
      const { claims } = await store.exchange(ask({ take: { order: 'first-come', count: 10 } }));
      disk.fill(200_000);
      const full = await enqueueUntilFull(store);
      accepted.push(...full.ids);
      expect(full.error).toMatchObject({ code: 'storage-failed', retryable: true });
      expect(String(full.error)).toContain(file);
      expect(String(full.error)).toMatch(/disk is full; make space/i);
      expect(await countsOf(store)).toEqual({
        ready: accepted.length - 10,
        running: 10,
        arrivals: accepted.length,
      });

      disk.makeSpace();
      const again = await store.enqueue(full.refused, Date.now());
      expect(again.every(({ fresh }) => fresh)).toBe(true);
      accepted.push(...again.map(({ id }) => id));
      const { taken } = await store.exchange(ask({ settlements: done(claims) }));
      expect(taken).toEqual(claims.map(() => true));
    }
    isSound();
    await using store = SqliteStore.open({ file });
    expect(await countsOf(store)).toEqual({
      ready: accepted.length - 10,
      running: 0,
      arrivals: accepted.length,
    });
    const { claims } = await store.exchange(ask({ take: { order: 'first-come', count: 10_000 } }));
    expect(claims.map(({ id }) => id)).toEqual(accepted.slice(10));
  });

  it('settles and claims wholly or not at all', async () => {
    await using store = SqliteStore.open({ file });
    disk.fill(LITTLE_BYTES);
    const { ids } = await enqueueUntilFull(store);
    const first = await untilItHasSpace(store, []);
    const second = await untilItHasSpace(store, first);
    // No job twice, none skipped.
    expect([...first, ...second].map(({ id }) => id)).toEqual(ids.slice(0, first.length + second.length));
    const counts = await countsOf(store);
    expect(counts).toEqual({
      ready: ids.length - first.length - second.length,
      running: second.length,
      arrivals: ids.length,
    });
    isSound();
  });

  /** The same exchange again and again, with a little more space each time it fails; what failed must have changed nothing. */
  async function untilItHasSpace(store: SqliteStore, before: readonly Claim[]): Promise<Claim[]> {
    disk.fill(0);
    for (let spaceBytes = 8_192; spaceBytes < DISK_MEGABYTES * 2 ** 20; spaceBytes *= 2) {
      const counts = await countsOf(store);
      try {
        const request = ask({ settlements: done(before), take: { order: 'first-come', count: 60 } });
        const { taken, claims } = await store.exchange(request);
        expect(taken).toEqual(before.map(() => true));
        return claims;
      } catch (error) {
        expect(error).toMatchObject({ code: 'storage-failed' });
        expect(await countsOf(store)).toEqual(counts);
      }
      disk.makeSpace();
      disk.fill(spaceBytes);
    }
    throw new Error('the store did not go on with the whole disk free');
  }

  it('loses nothing when the engine is restarted before there is space', async () => {
    let ids: number[];
    {
      await using store = SqliteStore.open({ file });
      disk.fill(LITTLE_BYTES);
      ({ ids } = await enqueueUntilFull(store));
      disk.fill(0);
    }
    try {
      await using store = SqliteStore.open({ file });
      expect((await countsOf(store)).ready).toBe(ids.length);
    } catch (error) {
      expect(error).toMatchObject({ code: 'storage-failed' });
      expect(String(error)).toContain(file);
    }
    disk.makeSpace();
    await using store = SqliteStore.open({ file });
    expect((await countsOf(store)).ready).toBe(ids.length);
    isSound();
  });

  it('stops an engine only for so long: every job is done', async () => {
    await using store = SqliteStore.open({ file });
    const jobs = Array.from({ length: 20 }, batch).flat();
    const ids = (await store.enqueue(jobs, Date.now())).map(({ id }) => id);
    const { handler: _, ...policy } = jobKindSchema.parse({
      kind: 'mail',
      handler: { type: 'command', command: ['true'] },
    });
    const ended = new Set<number>();
    const problems: Error[] = [];
    const engine = new Engine(
      {
        store,
        clock: systemClock,
        owner: 'one',
        random: Math.random,
        memory: () => ({ rssBytes: 1, limitBytes: 2 ** 30 }),
        onAttempt: (attempt) => ended.add(attempt.claim.id),
        onProblem: (problem) => problems.push(problem),
      },
      [{ policy, handler: { kind: 'mail', runsIn: 'engine', run: () => Promise.resolve() } }],
      { workers: 4, order: 'fair', tenants: {} },
    );
    disk.fill(0);
    await engine.start();
    try {
      await until(
        () => problems.length > 0 || ended.size === ids.length,
        'the engine tells that the disk is full',
      );
      disk.makeSpace();
      await until(
        () => ended.size === ids.length,
        () => `only ${ended.size} of ${ids.length} jobs were done`,
      );
    } finally {
      await engine.stop(1_000);
    }
    expect(problems.length).toBeGreaterThan(0);
    for (const { cause } of problems) expect(cause).toMatchObject({ code: 'storage-failed' });
    expect(await countsOf(store)).toEqual({ ready: 0, running: 0, arrivals: ids.length });
  });
});
