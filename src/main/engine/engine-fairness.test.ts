import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { sleep } from './clock.ts';
import { engineFixture, kindOf } from './engine-fixture.ts';
import type { NewJob } from './job.ts';
import { JobError } from './workers/handler.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** What a job of these tests does: runs so long, and fails so often first. */
const payloadSchema = z.object({ runMs: z.number(), failures: z.number() });
type Payload = z.infer<typeof payloadSchema>;

interface Start {
  tenantId: string;
  atMs: number;
}

/** An engine whose starts are written down in order. */
function watched(options: Parameters<typeof engineFixture>[0]) {
  const starts: Start[] = [];
  const kinds = (clock: VirtualClock) => [
    kindOf(
      'mail',
      async ({ tenantId, payload, attempt }, { signal }) => {
        const { runMs, failures } = payloadSchema.parse(payload);
        starts.push({ tenantId, atMs: clock.now() });
        await sleep(clock, runMs, signal);
        if (attempt <= failures) throw new JobError('transient', 'try again');
      },
      { retry: { maxAttempts: 10 } },
    ),
  ];
  return { ...engineFixture({ ...options, kinds }), starts };
}

const job = (tenantId: string, payload: Payload, more: Partial<NewJob> = {}): NewJob => ({
  tenantId,
  kind: 'mail',
  payload,
  ...more,
});

const workers = fc.integer({ min: 1, max: 64 });

describe('the promise of the fair order, over random workloads', () => {
  it('passes nobody with work more than twice for the same other tenant', async () => {
    const burst = fc.record({
      atMs: fc.nat(3_000),
      tenant: fc.nat(),
      jobs: fc.integer({ min: 1, max: 40 }),
      runMs: fc.integer({ min: 20, max: 400 }),
    });
    const workload = fc.record({
      workers,
      tenants: fc.integer({ min: 2, max: 60 }),
      /** Others with one job each that all have work from the beginning; now and then very many. */
      crowd: fc.oneof(
        { weight: 9, arbitrary: fc.constant<number>(0) },
        { weight: 1, arbitrary: fc.constant<number>(10_000) },
      ),
      bursts: fc.array(burst, { minLength: 2, maxLength: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(workload, async ({ workers: count, tenants, crowd, bursts }) => {
        const { engine, clock, starts } = watched({ tuning: { workers: count } });
        const waiting = new Map<string, { jobs: number; sinceStart: number }>();
        const beganMs = clock.now();
        await engine.enqueue(
          Array.from({ length: crowd }, (_, i) => job(`crowd-${i}`, { runMs: 20, failures: 0 })),
        );
        await engine.start();
        for (const { atMs, tenant, jobs, runMs } of bursts.toSorted((a, b) => a.atMs - b.atMs)) {
          await clock.advance(Math.max(0, beganMs + atMs - clock.now()));
          const id = `t${tenant % tenants}`;
          const known = waiting.get(id);
          waiting.set(id, {
            jobs: (known?.jobs ?? 0) + jobs,
            sinceStart: known?.sinceStart ?? starts.length,
          });
          await engine.enqueue(Array.from({ length: jobs }, () => job(id, { runMs, failures: 0 })));
        }
        await clock.advance(40 * 30 * 400);
        const total = bursts.reduce((sum, { jobs }) => sum + jobs, crowd);
        expect(starts).toHaveLength(total);
        // Between two starts of a tenant that has more work, and before its first: no other tenant starts more than twice. Once is
        // its turn; once more may have been claimed before this one had work, or in the same exchange.
        for (const [id, { jobs, sinceStart }] of waiting) {
          const own = starts.flatMap(({ tenantId }, i) => (tenantId === id ? [i] : []));
          expect(own).toHaveLength(jobs);
          // Only while it surely had work all the time: until its first start.
          const others = starts.slice(sinceStart, own[0]).map(({ tenantId }) => tenantId);
          const most = Math.max(
            0,
            ...[...Map.groupBy(others, (other) => other).values()].map((of) => of.length),
          );
          expect(most, `${id} waited while another started ${most} jobs`).toBeLessThanOrEqual(2);
        }
        await engine.stop(0);
      }),
      { numRuns: 40 },
    );
  });

  it('starves nobody under weights, caps, priorities and retries', async () => {
    const tenant = fc.record({
      jobs: fc.integer({ min: 1, max: 25 }),
      runMs: fc.integer({ min: 1, max: 200 }),
      failures: fc.integer({ min: 0, max: 3 }),
      priority: fc.integer({ min: -5, max: 5 }),
      share: fc.option(
        fc.record({
          weight: fc.double({ min: 0.1, max: 10, noNaN: true }),
          cap: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
        }),
        { nil: undefined },
      ),
    });
    const workload = fc.record({
      workers,
      order: fc.constantFrom('fair' as const, 'fair-time' as const),
      tenants: fc.array(tenant, { minLength: 2, maxLength: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(workload, async ({ workers: count, order, tenants }) => {
        const shares = Object.fromEntries(
          tenants.flatMap(({ share }, i) => (share ? [[`t${i}`, share]] : [])),
        );
        const { engine, clock, starts, attempts } = watched({
          tuning: { workers: count, order, tenants: shares },
        });
        await engine.enqueue(
          tenants.flatMap(({ jobs, runMs, failures, priority }, i) =>
            Array.from({ length: jobs }, () => job(`t${i}`, { runMs, failures }, { priority })),
          ),
        );
        await engine.start();
        await clock.advance(3_600_000);
        const expected = tenants.reduce((sum, { jobs, failures }) => sum + jobs * (failures + 1), 0);
        expect(starts).toHaveLength(expected);
        expect(attempts.filter(({ failure }) => failure === null)).toHaveLength(
          tenants.reduce((sum, { jobs }) => sum + jobs, 0),
        );
        expect(
          (await engine.snapshot(0)).tenants.every(({ dead, ready }) => dead.value + ready.value === 0),
        ).toBe(true);
        // All had work from the beginning: until everybody has started once, nobody has started more than its weight
        // allows in as many turns as the lightest needs for its first.
        const lightest = Math.min(...tenants.map(({ share }) => share?.weight ?? 1));
        const firsts = tenants.map((_, i) => starts.findIndex(({ tenantId }) => tenantId === `t${i}`));
        const early = Map.groupBy(starts.slice(0, Math.max(...firsts)), ({ tenantId }) => tenantId);
        if (order === 'fair') {
          for (const [id, of] of early) {
            const weight = shares[id]?.weight ?? 1;
            const turns = Math.ceil(1 / lightest) + 1;
            expect(of.length, `${id} of weight ${weight}`).toBeLessThanOrEqual(
              (turns + 1) * Math.max(1, weight) + count,
            );
          }
        }
        await engine.stop(0);
      }),
      { numRuns: 40 },
    );
  });
});
