import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TurnScheduler, type TenantShare, type TurnSchedulerOptions } from './turn-scheduler.ts';

const shares = (of: Record<string, TenantShare>) => new Map(Object.entries(of));
const scheduler = (options: Partial<TurnSchedulerOptions> = {}) =>
  new TurnScheduler({ order: 'fair', shares: new Map(), cursor: null, ...options });

/** The tenants with work, as a store shows them: in circle order from the first above `after`. */
function around(
  backlog: ReadonlyMap<string, number>,
  { after, limit }: { after: string | null; limit: number },
) {
  const ids = [...backlog].flatMap(([id, jobs]) => (jobs > 0 ? [id] : [])).sort();
  const ahead = ids.filter((id) => after === null || id > after);
  return [...ahead, ...ids.filter((id) => !ahead.includes(id))]
    .slice(0, limit)
    .map((tenantId) => ({ tenantId }));
}

/** One claim: plans, takes what is there, and answers whose jobs were given, turn by turn. */
function claim(turns: TurnScheduler, backlog: Map<string, number>, slots: number): string[] {
  const takes = turns.plan(around(backlog, turns.ask(slots)), slots);
  const given: string[][] = [];
  for (const { tenantId, count } of takes) {
    const jobs = backlog.get(tenantId) ?? 0;
    const taken = Math.min(jobs, count);
    backlog.set(tenantId, jobs - taken);
    turns.claimed(tenantId, taken);
    for (let i = 0; i < taken; i++) (given[i] ??= []).push(tenantId);
  }
  return given.flat();
}

describe('TurnScheduler in plain turns', () => {
  it('goes around the circle one job a tenant, and on where it stopped', () => {
    const turns = scheduler();
    const backlog = new Map([
      ['b', 3],
      ['a', 1],
      ['c', 2],
    ]);
    expect(claim(turns, backlog, 2)).toEqual(['a', 'b']);
    expect(turns.cursor).toBe('b');
    backlog.set('a', 1);
    expect(claim(turns, backlog, 4)).toEqual(['c', 'a', 'b', 'c']);
    expect(claim(turns, backlog, 4)).toEqual(['b']);
  });

  it('goes on at the cursor it is given, also when that tenant is gone', () => {
    const turns = scheduler({ cursor: 'bb' });
    expect(claim(turns, new Map(Object.entries({ a: 1, b: 1, c: 1 })), 2)).toEqual(['c', 'a']);
  });

  it('uses every slot while one tenant has enough', () => {
    expect(claim(scheduler(), new Map([['a', 100]]), 64)).toHaveLength(64);
  });

  it('never goes over a cap, whatever the slots, and uses what the others leave', () => {
    const turns = scheduler({ shares: shares({ a: { weight: 1, cap: 2 } }) });
    const backlog = new Map(Object.entries({ a: 50, b: 50 }));
    expect(claim(turns, backlog, 10).filter((id) => id === 'a')).toHaveLength(2);
    expect(claim(turns, backlog, 10).filter((id) => id === 'a')).toHaveLength(0);
    turns.ended('a', 5);
    expect(claim(turns, backlog, 10).filter((id) => id === 'a')).toHaveLength(1);
    // Given back counts as not running either.
    turns.ended('a', null);
    expect(claim(turns, backlog, 1)).toEqual(['a']);
    expect(claim(turns, backlog, 1)).toEqual(['b']);
    expect(claim(turns, backlog, 1)).toEqual(['b']);
  });

  it('counts what was planned and not given as not running', () => {
    const turns = scheduler({ shares: shares({ a: { weight: 1, cap: 3 } }) });
    turns.plan([{ tenantId: 'a' }], 10);
    // The store had only one job of it, and says nothing of the rest.
    turns.claimed('a', 1);
    expect(turns.plan([{ tenantId: 'a' }], 10)).toEqual([{ tenantId: 'a', count: 2 }]);
    // Nothing was claimed of it at all.
    expect(turns.plan([{ tenantId: 'a' }], 10)).toEqual([{ tenantId: 'a', count: 2 }]);
  });

  it('serves by weight, over a thousand claims of one job', () => {
    const weights = shares({ b: { weight: 3 }, c: { weight: 0.5 }, d: { weight: 0.5 } });
    const turns = scheduler({ shares: weights });
    const backlog = new Map(['a', 'b', 'c', 'd'].map((id) => [id, 1_000]));
    const counts: Record<string, number> = {};
    for (let i = 0; i < 1_000; i++) {
      for (const id of claim(turns, backlog, 1)) counts[id] = (counts[id] ?? 0) + 1;
    }
    expect(counts).toEqual({ a: 200, b: 600, c: 100, d: 100 });
  });

  it('serves a tenant of the smallest weight at once when it is alone', () => {
    const turns = scheduler({ shares: shares({ a: { weight: 0.01 } }) });
    expect(claim(turns, new Map([['a', 9]]), 8)).toHaveLength(8);
  });

  it('keeps the promise over random workloads: nobody with work is passed twice by the same tenant', () => {
    const arrivals = fc.array(fc.record({ tenant: fc.nat(40), jobs: fc.integer({ min: 1, max: 30 }) }), {
      maxLength: 8,
    });
    const steps = fc.array(fc.record({ arrivals, slots: fc.integer({ min: 1, max: 64 }) }), {
      minLength: 1,
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, fc.option(fc.nat(40)), (run, cursor) => {
        const turns = scheduler({ cursor: cursor === null ? null : `t${cursor}` });
        const backlog = new Map<string, number>();
        /** For each tenant that waits: who was served since it has been waiting. */
        const passedBy = new Map<string, Set<string>>();
        for (const step of run) {
          for (const { tenant, jobs } of step.arrivals) {
            const id = `t${tenant}`;
            if (!backlog.get(id)) passedBy.set(id, new Set());
            backlog.set(id, (backlog.get(id) ?? 0) + jobs);
          }
          const served = new Set<string>();
          for (const id of claim(turns, backlog, step.slots)) {
            if (served.has(id)) continue;
            served.add(id);
            passedBy.set(id, new Set());
          }
          for (const [id, passers] of passedBy) {
            if (served.has(id) || !backlog.get(id)) continue;
            for (const other of served) {
              expect(passers.has(other), `${other} was served twice while ${id} waited`).toBe(false);
              passers.add(other);
            }
          }
        }
      }),
    );
  });
});

describe('TurnScheduler by run time', () => {
  /** Workers that run jobs of the lengths given; answers each tenant's run time. */
  function work(
    lengths: Record<string, number>,
    workers: number,
    untilMs: number,
    weights: TurnSchedulerOptions['shares'] = new Map(),
  ) {
    const turns = scheduler({ order: 'fair-time', shares: weights });
    const backlog = new Map(Object.keys(lengths).map((id) => [id, 1_000_000]));
    const running: { id: string; endMs: number }[] = [];
    const served: Record<string, number> = {};
    const firstStart: Record<string, number> = {};
    for (let nowMs = 0; nowMs < untilMs;) {
      for (const id of claim(turns, backlog, workers - running.length)) {
        running.push({ id, endMs: nowMs + (lengths[id] ?? 0) });
        firstStart[id] ??= nowMs;
      }
      running.sort((a, b) => a.endMs - b.endMs);
      const next = running.shift();
      if (!next) break;
      nowMs = next.endMs;
      served[next.id] = (served[next.id] ?? 0) + (lengths[next.id] ?? 0);
      turns.ended(next.id, lengths[next.id] ?? 0);
    }
    return { served, firstStart };
  }

  it('gives tenants of slow and of fast jobs the same time, where plain turns give the slow one nearly all', () => {
    const { served } = work({ fast: 10, slow: 1_000 }, 2, 1_000_000);
    expect((served['slow'] ?? 0) / (served['fast'] ?? 1)).toBeGreaterThan(0.9);
    expect((served['slow'] ?? 0) / (served['fast'] ?? 1)).toBeLessThan(1.1);
  });

  it('shares time by weight', () => {
    const { served } = work({ a: 50, b: 500 }, 3, 2_000_000, shares({ a: { weight: 3 } }));
    expect((served['a'] ?? 0) / (served['b'] ?? 1)).toBeGreaterThan(2.7);
    expect((served['a'] ?? 0) / (served['b'] ?? 1)).toBeLessThan(3.3);
  });

  it('uses every slot whatever the tenants owe', () => {
    const turns = scheduler({ order: 'fair-time' });
    const backlog = new Map([['a', 100]]);
    for (let i = 0; i < 10; i++) {
      expect(claim(turns, backlog, 4)).toHaveLength(4);
      for (let n = 0; n < 4; n++) turns.ended('a', 10_000);
    }
  });

  it('forgets the debt of a tenant that has no work while the others take their turns', () => {
    const turns = scheduler({ order: 'fair-time' });
    const backlog = new Map(Object.entries({ a: 1, b: 1_000 }));
    expect(claim(turns, backlog, 2).sort()).toEqual(['a', 'b']);
    turns.ended('a', 5_000);
    turns.ended('b', 10);
    for (let i = 0; i < 2_000; i++) {
      claim(turns, backlog, 2);
      turns.ended('b', 10);
    }
    backlog.set('a', 1).set('b', 1_000);
    expect(claim(turns, backlog, 2).sort()).toEqual(['a', 'b']);
  });

  it('starves nobody under random weights, caps, lengths and workers', () => {
    const tenant = fc.record({
      weight: fc.double({ min: 0.1, max: 10, noNaN: true }),
      cap: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      runMs: fc.integer({ min: 1, max: 200 }),
    });
    fc.assert(
      fc.property(
        fc.array(tenant, { minLength: 2, maxLength: 12 }),
        fc.integer({ min: 1, max: 64 }),
        fc.constantFrom('fair', 'fair-time'),
        (tenants, workers, order) => {
          const turns = scheduler({
            order,
            shares: new Map(tenants.map((tenant, i) => [String(i), tenant])),
          });
          const backlog = new Map(tenants.map((_, i) => [String(i), 100_000]));
          const running: { id: string; endMs: number; runMs: number }[] = [];
          const starts = new Map<string, number>();
          let nowMs = 0;
          // A turn of the circle of the lightest costs each other its weight over that of the lightest, in time.
          for (let i = 0; i < 20_000 && starts.size < tenants.length; i++) {
            for (const id of claim(turns, backlog, workers - running.length)) {
              starts.set(id, (starts.get(id) ?? 0) + 1);
              const runMs = tenants[Number(id)]?.runMs ?? 1;
              running.push({ id, runMs, endMs: nowMs + runMs });
            }
            running.sort((a, b) => a.endMs - b.endMs);
            const next = running.shift();
            if (!next) throw new Error('nothing runs while everybody has work');
            nowMs = next.endMs;
            turns.ended(next.id, next.runMs);
          }
          expect([...starts.keys()].sort()).toEqual(tenants.map((_, i) => String(i)).sort());
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps no account of tenants that are even', () => {
    const turns = scheduler({ shares: shares({ a: { weight: 2 } }) });
    const backlog = new Map([['a', 6]]);
    for (let i = 0; i < 4; i++) for (const id of claim(turns, backlog, 2)) turns.ended(id, 1);
    claim(turns, new Map([['b', 1]]), 2);
    expect(turns.ask(3)).toEqual({ after: 'b', limit: 3 });
  });
});
