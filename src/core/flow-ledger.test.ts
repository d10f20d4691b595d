import { describe, expect, it } from 'vitest';
import { FlowLedger, perSecond, UNCOUNTED, type FlowStep } from './flow-ledger.ts';
import { seededRandom } from './seeded-random.ts';

function step(arrivals: number, elapsedMs: number): FlowStep {
  const counted = { count: arrivals, coveredMs: elapsedMs };
  return { arrivals: counted, attempts: UNCOUNTED, starts: UNCOUNTED, countedMs: 0, approximateMs: 0 };
}

describe('FlowLedger', () => {
  it('knows nothing before it begins', () => {
    const ledger = new FlowLedger(1_000, 60_000);
    expect(ledger.over(60_000)).toMatchObject({ arrivals: UNCOUNTED, spanMs: 0 });
    expect(() => ledger.add(0, step(1, 1))).toThrow('restart');
  });

  it('forgets what was before a restart', () => {
    const ledger = new FlowLedger(1_000, 60_000);
    ledger.restart(0);
    ledger.add(5_000, step(9, 5_000));
    ledger.restart(6_000);
    ledger.add(8_000, step(4, 2_000));
    expect(ledger.over(60_000)).toMatchObject({ arrivals: { count: 4, coveredMs: 2_000 }, spanMs: 2_000 });
  });

  it('reaches back exactly as long as asked where a point lies there', () => {
    const ledger = new FlowLedger(1_000, 60_000);
    ledger.restart(0);
    for (let second = 1; second <= 200; second++) ledger.add(second * 1_000, step(2, 1_000));
    expect(ledger.over(60_000)).toMatchObject({ arrivals: { count: 120 }, spanMs: 60_000 });
  });

  it('is the sum of the steps in the stretch that it says, which is as long as asked to within a bucket', () => {
    const random = seededRandom(99);
    for (const [bucketMs, spanMs] of [
      [10_000, 900_000],
      [2_000, 60_000],
      [100, 3_000],
    ] as const) {
      const ledger = new FlowLedger(bucketMs, spanMs);
      ledger.restart(0);
      const steps: { atMs: number; count: number }[] = [];
      let now = 0;
      for (let i = 0; i < 2_000; i++) {
        const elapsed = 1 + Math.floor((random() ** 4 * spanMs) / 20);
        const count = Math.floor(random() * 10);
        now += elapsed;
        ledger.add(now, step(count, elapsed));
        steps.push({ atMs: now, count });
        for (const over of [spanMs, spanMs / 3]) {
          const flow = ledger.over(over);
          const truth = steps.filter((s) => s.atMs > now - flow.spanMs).reduce((sum, s) => sum + s.count, 0);
          expect(flow.arrivals).toEqual({ count: truth, coveredMs: flow.spanMs });
          if (now < over) expect(flow.spanMs).toBe(now);
          else expect(flow.spanMs).toBeGreaterThanOrEqual(over);
          expect(flow.spanMs).toBeLessThan(over + bucketMs + spanMs / 20 + 1);
        }
      }
    }
  });
});

describe('perSecond', () => {
  it('is over the watched time, and null when there was none', () => {
    expect(perSecond({ count: 30, coveredMs: 60_000 })).toBe(0.5);
    expect(perSecond(UNCOUNTED)).toBeNull();
  });
});
