// What every source promises, whatever system it reads: run against a real database of that system.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Count } from '../../../src/core/count.ts';
import { seededRandom } from '../../../src/core/seeded-random.ts';
import type { SourceSample, TenantSample } from '../../../src/core/sample.ts';
import type { Source } from '../../../src/main/sources/source.ts';
import type { PlainJob, WatchedSystem } from '../../harness/systems/system.ts';

const never = new AbortController().signal;
const ODD_NAMES = [`o'brien "the" \`best\``, '📮 Пошта \\ %s; --', 'x'.repeat(255), ' leading and trailing '];
/** Filling tables takes its time on a busy machine. */
const LONG = { timeout: 240_000 };
/** Clocks of tests and servers are one; writing and reading takes this long at most. */
const SLACK_MS = 5_000;

interface SuiteOptions {
  /** Names that the system itself refuses. */
  refuses?: (name: string) => boolean;
  /** Beyond so many tenants the source says that it watches no more. */
  tenantsAtMost?: number;
  /** It reads a file: there is no server that ends its sessions, stops its statements, or counts what it reads. */
  isFile?: boolean;
}

export function sourceSuite(
  name: string,
  create: () => Promise<WatchedSystem>,
  { refuses = () => false, tenantsAtMost = Infinity, isFile = false }: SuiteOptions = {},
): void {
  describe(`${name} as a source`, () => {
    let system: WatchedSystem;
    beforeAll(async () => {
      system = await create();
    });
    afterAll(() => system[Symbol.asyncDispose]());
    beforeEach(() => system.clear());

    const tenant = (sample: SourceSample, of: string): TenantSample => {
      const found = sample.tenants.find(({ tenantId }) => tenantId === system.tenantId(of));
      if (!found) throw new Error(`tenant ${of} is not among ${sample.tenants.length}`);
      return found;
    };
    const poll = async (source: Source): Promise<SourceSample> => {
      await source.tenants(never);
      return source.snapshot(never);
    };

    test('empty: no tenant is late, and every look answers', async () => {
      await using source = system.source();
      const probe = await source.probe(never);
      const server = { postgres: / on PostgreSQL 1\d/, mysql: / on MariaDB 1\d/, sqlite: / on SQLite/ };
      expect(probe.system).toMatch(server[system.type]);
      const sample = await poll(source);
      expect(
        sample.tenants.filter(({ ready, oldestReady }) => ready.value > 0 || oldestReady !== null),
      ).toEqual([]);
      for (const list of ['ready', 'delayed', 'running', 'held', 'blocked', 'dead'] as const) {
        const { jobs, next } = await source.details.jobs(
          { list, tenantId: null, after: null, limit: 10 },
          never,
        );
        expect({ list, jobs, next }).toEqual({ list, jobs: [], next: null });
      }
      expect((await source.details.locks({ tenantId: null, limit: 10 }, never)).locks).toEqual([]);
      const { facts, actions } = await source.details.capabilities(never);
      expect(Object.keys(facts)).toHaveLength(12);
      expect(Object.values(actions).every(({ how }) => how.length > 0)).toBe(true);
    });

    test('one tenant: lag, depth and states as defined', async () => {
      await system.put([
        ...Array.from({ length: 7 }, (_, i): PlainJob => ({
          tenant: 'a',
          state: 'ready',
          ageMs: 60_000 + i * 10_000,
        })),
        ...Array.from({ length: 3 }, (): PlainJob => ({
          tenant: 'a',
          state: 'delayed',
          ageMs: 900_000,
          dueInMs: 600_000,
        })),
        { tenant: 'a', state: 'running', ageMs: 500_000, startedAgoMs: 30_000 },
        { tenant: 'a', state: 'running', ageMs: 400_000, startedAgoMs: 20_000 },
      ]);
      await using source = system.source();
      const sample = await poll(source);
      const a = tenant(sample, 'a');
      expect(a).toMatchObject({
        ready: { value: 7, kind: 'exact' },
        delayed: { value: 3, kind: 'exact' },
        running: { value: 2, kind: 'exact' },
        stale: { value: 0 },
        oldestReady: { bound: 'exact' },
      });
      expect(lagOf(sample, a)).toBeGreaterThanOrEqual(120_000);
      expect(lagOf(sample, a)).toBeLessThan(120_000 + SLACK_MS);
      const listed = async (list: 'ready' | 'delayed' | 'running') =>
        (await source.details.jobs({ list, tenantId: system.tenantId('a'), after: null, limit: 100 }, never))
          .jobs;
      const ready = await listed('ready');
      expect(ready).toHaveLength(7);
      expect(sample.databaseTimeMs - (ready[0]?.readyAtMs ?? 0)).toBeCloseTo(lagOf(sample, a), -3);
      expect(await listed('delayed')).toHaveLength(3);
      const running = await listed('running');
      expect(running.map(({ state, tenantId }) => [state, tenantId])).toEqual(
        Array.from({ length: 2 }, () => ['running', system.tenantId('a')]),
      );
      const detail = await source.details.job(ready[0]?.id ?? '', never);
      expect(detail?.job).toEqual(ready[0]);
      expect(detail?.fields.length).toBeGreaterThan(3);
    });

    test('many tenants at random: every number true within its bound, by all jobs', async () => {
      const random = seededRandom(4);
      const states = ['ready', 'ready', 'ready', 'delayed', 'running'] as const;
      const jobs = Array.from({ length: 400 }, (): PlainJob => {
        const state = states[Math.floor(random() * states.length)] ?? 'ready';
        return {
          tenant: `tenant ${Math.floor(random() ** 2 * 12)}`,
          state,
          ageMs: 10_000 + Math.floor(random() * 3_000_000),
          ...(state === 'delayed' ? { dueInMs: 60_000 + Math.floor(random() * 3_000_000) } : {}),
          ...(state === 'running' ? { startedAgoMs: Math.floor(random() * 10_000) } : {}),
        };
      });
      await system.put(jobs);
      await using source = system.source();
      const sample = await poll(source);
      for (const [of, all] of Map.groupBy(jobs, (job) => job.tenant)) {
        const seen = tenant(sample, of);
        for (const state of ['ready', 'delayed', 'running'] as const) {
          const real = all.filter((job) => job.state === state).length;
          expect(isTrue(seen[state], real), `${of} ${state}: ${JSON.stringify(seen[state])} of ${real}`).toBe(
            true,
          );
        }
        const ages = all.filter(({ state }) => state === 'ready').map(({ ageMs }) => ageMs);
        if (ages.length === 0) expect(seen.oldestReady).toBeNull();
        else if (seen.oldestReady?.bound === 'exact')
          expect(Math.abs(lagOf(sample, seen) - Math.max(...ages))).toBeLessThan(SLACK_MS);
        else expect(lagOf(sample, seen)).toBeLessThan(Math.max(...ages) + SLACK_MS);
      }
    });

    test('names with quotes, emoji, spaces and 255 characters', async () => {
      const names = ODD_NAMES.filter((odd) => !refuses(odd));
      await system.put(names.map((odd): PlainJob => ({ tenant: odd, state: 'ready', ageMs: 30_000 })));
      await using source = system.source();
      const sample = await poll(source);
      const infos = await source.tenants(never);
      for (const odd of names) {
        expect(tenant(sample, odd).ready).toEqual({ value: 1, kind: 'exact' });
        const id = system.tenantId(odd);
        expect(infos.find((info) => info.id === id)?.name).toContain(odd.trim());
        const page = await source.details.jobs(
          { list: 'ready', tenantId: id, after: null, limit: 10 },
          never,
        );
        expect(page.jobs.map(({ tenantId }) => tenantId)).toEqual([id]);
      }
    });

    test('a client whose clock is five minutes slow sees the same lag, and how far its clock is off', async () => {
      await system.put([{ tenant: 'a', state: 'ready', ageMs: 60_000 }]);
      await using source = system.source({ now: () => Date.now() - 300_000 });
      const sample = await poll(source);
      expect(lagOf(sample, tenant(sample, 'a'))).toBeGreaterThanOrEqual(60_000);
      expect(lagOf(sample, tenant(sample, 'a'))).toBeLessThan(60_000 + SLACK_MS);
      expect(Math.abs(sample.clock.offsetMs - 300_000)).toBeLessThan(SLACK_MS);
      expect(Math.abs(sample.databaseTimeMs - Date.now())).toBeLessThan(SLACK_MS);
    });

    test('jobs that come and go during polls make no number false for long, and no age negative', async () => {
      const put = () => system.put([{ tenant: 'a', state: 'ready', ageMs: 1_000 }]);
      for (let i = 0; i < 5; i++) await put();
      await using source = system.source();
      await poll(source);
      const stop = new AbortController();
      const work = (async () => {
        while (!stop.signal.aborted) {
          await put();
          await system.workOne();
        }
      })();
      try {
        for (let i = 0; i < 20; i++) {
          const sample = await source.snapshot(never);
          const a = tenant(sample, 'a');
          expect(a.ready.value).toBeGreaterThanOrEqual(4);
          expect(a.ready.value).toBeLessThanOrEqual(7);
          expect(lagOf(sample, a)).toBeGreaterThanOrEqual(0);
        }
      } finally {
        stop.abort();
        await work;
      }
    });

    test.skipIf(isFile)('a session that was killed is told once, then replaced', async () => {
      await system.put([{ tenant: 'a', state: 'ready', ageMs: 1_000 }]);
      await using source = system.source();
      await poll(source);
      await source.details.locks({ tenantId: null, limit: 1 }, never);
      await system.endSessions();
      const told = await source.snapshot(never).catch((error: unknown) => error);
      // The loss may have been seen before the poll: then a new session has answered.
      if (told instanceof Error) expect(told).toMatchObject({ code: 'unreachable', retryable: true });
      expect(tenant(await source.snapshot(never), 'a').ready.value).toBe(1);
      const looked = await source.details
        .locks({ tenantId: null, limit: 1 }, never)
        .catch((error: unknown) => error);
      if (looked instanceof Error) expect(looked).toMatchObject({ code: 'unreachable', retryable: true });
      expect((await source.details.locks({ tenantId: null, limit: 1 }, never)).locks).toEqual([]);
    });

    test('calls that are cancelled end, and the next one works', async () => {
      await system.put([{ tenant: 'a', state: 'ready', ageMs: 1_000 }]);
      await using source = system.source();
      await expect(source.snapshot(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
      expect(tenant(await poll(source), 'a').ready.value).toBe(1);
    });

    test('10,000 tenants are all seen, or it is said that they are not', LONG, async () => {
      await system.fill(20_000, 10_000);
      await using source = system.source();
      const infos = await source.tenants(never);
      const sample = await source.snapshot(never);
      const { warnings } = await source.probe(never);
      const watched = Math.min(10_000, tenantsAtMost);
      expect(infos).toHaveLength(watched);
      expect(sample.tenants).toHaveLength(watched);
      expect(sample.tenants.every(({ ready }) => isTrue(ready, 2) && ready.value > 0)).toBe(true);
      if (watched < 10_000) expect(warnings.join(' ')).toContain('no more are watched');
    });

    test('a million rows: within the time limit of a poll, at the cost of ten thousand', LONG, async () => {
      const cost = async (rows: number) => {
        await system.clear();
        await system.fill(rows, 100);
        await using source = system.source();
        await poll(source);
        const before = isFile ? 0 : await system.reads();
        const sample = await source.snapshot(never);
        const reads = isFile ? 0 : (await system.reads()) - before;
        const oldest = tenant(sample, 't0');
        expect(isTrue(oldest.ready, rows / 100)).toBe(true);
        expect(lagOf(sample, oldest)).toBeGreaterThan(3_500_000);
        expect(lagOf(sample, oldest)).toBeLessThan(3_600_000 + 120_000);
        return reads;
      };
      // Heads of 201 rows are full from 20,000 rows on.
      const small = await cost(30_000);
      const large = await cost(1_000_000);
      if (!isFile) expect(large).toBeLessThan(small * 1.5);
    });

    test.skipIf(isFile)(
      'a statement over its time limit is told as such, and the poll after it works',
      LONG,
      async () => {
        await system.fill(200_000, 2_000);
        await using hurried = system.source({ statementTimeoutMs: 1 });
        await expect(poll(hurried)).rejects.toMatchObject({ code: 'budget-exceeded', retryable: true });
        await using source = system.source();
        expect((await poll(source)).tenants.length).toBeGreaterThan(0);
      },
    );
  });
}

const lagOf = (sample: SourceSample, { oldestReady }: TenantSample): number =>
  oldestReady === null ? NaN : sample.databaseTimeMs - oldestReady.readyAtMs;

/** Whether a count may be said of so many: an estimate holds within two times and a little. */
function isTrue({ value, kind }: Count, real: number): boolean {
  if (kind === 'exact') return value === real;
  if (kind === 'at-least') return value <= real;
  return value <= real * 2 + 10 && real <= value * 2 + 10;
}
