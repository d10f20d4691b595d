import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import { exact } from '../../../core/count.ts';
import { engineJob } from '../local-engine/engine-job-fixture.ts';
import type { EngineJob, EngineTenant } from '../local-engine/engine-reader.ts';
import { EngineDatabaseSource } from './engine-database-source.ts';
import type { StoreHold, StoreOwner, StoreReader } from './store-reader.ts';

const T = 1_700_000_000_000;
const never = new AbortController().signal;

const tenant = (tenantId: string, more: Partial<EngineTenant> = {}): EngineTenant => ({
  tenantId,
  ready: exact(1),
  delayed: exact(0),
  running: exact(2),
  dead: exact(3),
  blocked: exact(4),
  oldestReady: { id: 7, readyAtMs: T - 5_000, createdAtMs: T - 9_000 },
  oldestRunningAtMs: T - 1,
  lastStartedAtMs: T - 1,
  arrivalsTotal: 10,
  attemptsTotal: 9,
  frontIds: [7],
  ...more,
});

/** A store that says what it is told to, and counts how often it was opened and closed. */
function plainStore(
  says: {
    tenants?: EngineTenant[];
    owners?: StoreOwner[];
    holds?: StoreHold[];
    jobs?: EngineJob[];
  } = {},
  { isShared = true } = {},
) {
  const counts = { opened: 0, closed: 0 };
  const trouble: { depths: (() => Promise<never>) | null } = { depths: null };
  const reader: StoreReader = {
    description: 'MariaDB 10.11.14 at db:3306/jobs',
    time: () => Promise.resolve(T + 5_000),
    depths: () =>
      trouble.depths?.() ?? Promise.resolve({ tenants: says.tenants ?? [], cursor: null, frontEndId: null }),
    owners: () => Promise.resolve(says.owners ?? []),
    holds: () => Promise.resolve(says.holds ?? []),
    list: ({ state }) =>
      Promise.resolve({ jobs: (says.jobs ?? []).filter((job) => job.state === state), next: null }),
    job: (id) => Promise.resolve(says.jobs?.find((job) => job.id === id) ?? null),
    payload: (_id, limitChars) =>
      Promise.resolve(JSON.stringify({ token: 's3cret', text: 'x'.repeat(limitChars) }).slice(0, limitChars)),
    [Symbol.asyncDispose]: () => {
      counts.closed += 1;
      return Promise.resolve();
    },
  };
  const source = new EngineDatabaseSource({
    open: () => {
      counts.opened += 1;
      return Promise.resolve(reader);
    },
    isShared,
    now: () => T,
  });
  return { source, counts, trouble };
}

describe('EngineDatabaseSource', () => {
  it('passes on exact counts, the clock of the store, and who is held', async () => {
    const hold = { mode: 'pause' as const, by: 'ada', reason: 'flood', sinceMs: T - 9 };
    const { source } = plainStore({
      tenants: [tenant('a'), tenant('b')],
      holds: [
        { ...hold, tenantId: 'a', kind: null },
        { ...hold, tenantId: 'b', kind: 'mail' },
      ],
    });
    await using _ = source;
    const sample = await source.snapshot(never);
    expect(sample).toMatchObject({ databaseTimeMs: T + 5_000, clock: { offsetMs: 5_000, errorMs: 0 } });
    expect(sample.tenants.map(({ tenantId, paused }) => [tenantId, paused?.by ?? null])).toEqual([
      ['a', 'ada'],
      ['b', null],
    ]);
    expect(sample.tenants[0]).toMatchObject({
      dead: exact(3),
      oldestReady: { readyAtMs: T - 5_000, createdAtMs: T - 9_000, bound: 'exact' },
      behind: null,
    });
    expect((await source.tenants(never)).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('calls running jobs stale when no engine is left to take them over', async () => {
    const staleOf = async (beatAgoMs: number, isShared = true) => {
      const owners = [{ id: 'one', beatAtMs: T + 5_000 - beatAgoMs, report: '{}' }];
      const { source } = plainStore({ tenants: [tenant('a')], owners }, { isShared });
      await using _ = source;
      return (await source.snapshot(never)).tenants[0]?.stale;
    };
    expect(await staleOf(1_000)).toEqual(exact(0));
    expect(await staleOf(300_001)).toEqual(exact(2));
    // An engine that has a file for itself has nobody to tell that it lives.
    expect(await staleOf(300_001, false)).toEqual(exact(0));
  });

  it('warns at once when no engine is heard', async () => {
    const { source } = plainStore();
    await using _ = source;
    expect(await source.probe(never)).toMatchObject({
      system: 'Headway engine on MariaDB 10.11.14 at db:3306/jobs',
      tenantWord: 'tenant',
      warnings: [expect.stringContaining('No engine')],
    });
  });

  it('shows claims with the beat and the lease of their owner; an unheard one’s is stale', async () => {
    const running = (id: number, owner: string) =>
      engineJob({ id, state: 'running', owner, claimedAtMs: T - 400_000 });
    const jobs = [running(1, 'alive'), running(2, 'silent'), running(3, 'forgotten')];
    const owners = [
      { id: 'alive', beatAtMs: T, report: '{}' },
      { id: 'silent', beatAtMs: T - 296_000, report: '{}' },
    ];
    const { source } = plainStore({ jobs, owners });
    await using _ = source;
    const { locks, more } = await source.details.locks({ tenantId: null, limit: 5 }, never);
    expect(
      locks.map(({ jobId, beatAtMs, expiresAtMs, stale }) => [jobId, beatAtMs, expiresAtMs, stale]),
    ).toEqual([
      ['1', T, T + 300_000, false],
      ['2', T - 296_000, T + 4_000, true],
      ['3', null, T - 400_000, true],
    ]);
    expect(more).toBe(false);
    const shown = await source.details.jobs(
      { list: 'running', tenantId: null, after: null, limit: 5 },
      never,
    );
    expect(shown.jobs.map(({ stale }) => stale)).toEqual([false, true, true]);
    expect((await source.details.job('2', never))?.job.stale).toBe(true);
    const alone = plainStore({ jobs, owners }, { isShared: false });
    await using __ = alone.source;
    const inFile = await alone.source.details.locks({ tenantId: null, limit: 5 }, never);
    expect(inFile.locks.map(({ beatAtMs, expiresAtMs, stale }) => [beatAtMs, expiresAtMs, stale])).toEqual(
      Array.from({ length: 3 }, () => [null, null, false]),
    );
  });

  it('blacks out what looks like a secret in a payload, and cuts a long one', async () => {
    const { source } = plainStore({ jobs: [engineJob({ id: 7 })] });
    await using _ = source;
    const detail = await source.details.job('7', never);
    expect(detail?.payload?.text.slice(0, 30)).toBe('{"token":"redacted","text":"xx');
    expect(detail?.payload?.shortened).toBe(true);
    expect(await source.details.job('8', never)).toBeNull();
    expect(await source.details.job('1 OR 1=1', never)).toBeNull();
  });

  it('asks for details on a reader of their own, whose failure ends no poll', async () => {
    const { source, counts, trouble } = plainStore({ jobs: [engineJob({ id: 7 })] });
    await using _ = source;
    await source.snapshot(never);
    await source.details.job('7', never);
    expect(counts).toEqual({ opened: 2, closed: 0 });
    await expect(source.details.job('7', AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    trouble.depths = () => Promise.reject(new HeadwayError('unreachable', 'gone', { retryable: true }));
    await expect(source.snapshot(never)).rejects.toMatchObject({ code: 'unreachable' });
    await source.details.job('7', never);
    expect(counts).toEqual({ opened: 2, closed: 1 });
  });

  it('opens the store once, and anew after it failed or was given up', async () => {
    const { source, counts, trouble } = plainStore();
    await source.snapshot(never);
    await source.snapshot(never);
    expect(counts).toEqual({ opened: 1, closed: 0 });

    trouble.depths = () => Promise.reject(new HeadwayError('unreachable', 'gone', { retryable: true }));
    await expect(source.snapshot(never)).rejects.toMatchObject({ code: 'unreachable' });
    expect(counts).toEqual({ opened: 1, closed: 1 });

    trouble.depths = () => new Promise(() => undefined);
    await expect(source.snapshot(AbortSignal.timeout(5))).rejects.toMatchObject({
      code: 'timeout',
      retryable: true,
    });
    trouble.depths = null;
    await source.snapshot(never);
    expect(counts).toEqual({ opened: 3, closed: 2 });
    await source[Symbol.asyncDispose]();
    expect(counts).toEqual({ opened: 3, closed: 3 });
  });
});
