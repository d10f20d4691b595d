import { describe, expect, it } from 'vitest';
import { atLeast, estimate, exact } from './count.ts';
import { seededRandom } from './seeded-random.ts';
import { timeToEmpty } from './time-to-empty.ts';

const MINUTES = 60_000;

/** Flows over 5 and 15 minutes from rates per minute: [in, out] of each. */
function flows(five: [number, number], fifteen: [number, number]) {
  return [
    { minutes: 5, rates: five },
    { minutes: 15, rates: fifteen },
  ].map(({ minutes, rates: [arrived, finished] }) => ({
    arrivals: { count: arrived * minutes, coveredMs: minutes * MINUTES },
    attempts: { count: finished * minutes, coveredMs: minutes * MINUTES },
  }));
}

describe('timeToEmpty', () => {
  it('is empty when certainly nothing is there, whatever the flows', () => {
    expect(timeToEmpty(exact(0), [])).toEqual({ kind: 'empty' });
    expect(timeToEmpty(atLeast(0), flows([0, 9], [0, 9]))).not.toEqual({ kind: 'empty' });
  });

  it('is unknown while a flow has been counted for less than half a minute', () => {
    const short = { count: 100, coveredMs: 29_000 };
    expect(timeToEmpty(exact(5), [{ arrivals: short, attempts: short }])).toEqual({ kind: 'unknown' });
    expect(timeToEmpty(exact(5), [])).toEqual({ kind: 'unknown' });
  });

  it('is growing when clearly more comes than goes, in both windows', () => {
    expect(timeToEmpty(exact(1_000), flows([212, 180], [200, 180]))).toEqual({ kind: 'growing' });
  });

  it('is standing when what comes is what goes, within the counting error', () => {
    expect(timeToEmpty(exact(1_000), flows([100, 100], [101, 100]))).toEqual({ kind: 'standing' });
    expect(timeToEmpty(exact(3), flows([0, 0], [0, 0]))).toEqual({ kind: 'standing' });
  });

  it('is a range around depth / net, widened by the counting error', () => {
    const result = timeToEmpty(exact(1_000), flows([100, 200], [100, 180]));
    if (result.kind !== 'range') throw new Error(result.kind);
    expect(result.minMs).toBeLessThan(10 * MINUTES);
    expect(result.minMs).toBeGreaterThan(7 * MINUTES);
    expect(result.maxMs).toBeGreaterThan(12.5 * MINUTES);
    expect(result.maxMs).toBeLessThan(20 * MINUTES);
  });

  it('is unclear when the windows disagree about the direction', () => {
    expect(timeToEmpty(exact(1_000), flows([100, 200], [200, 100]))).toEqual({ kind: 'unclear' });
  });

  it('is unclear when a range is wider than ten times', () => {
    expect(timeToEmpty(exact(1_000), flows([1_000, 1_500], [1_000, 1_040]))).toEqual({ kind: 'unclear' });
  });

  it('widens by what is not known of the depth', () => {
    const both = flows([0, 200], [0, 200]);
    const sure = timeToEmpty(exact(4_000), both);
    const unsure = timeToEmpty(estimate(4_000), both);
    if (sure.kind !== 'range' || unsure.kind !== 'range') throw new Error('both are ranges');
    expect(unsure.minMs).toBeCloseTo(sure.minMs / 2);
    expect(unsure.maxMs).toBeCloseTo(sure.maxMs * 2);
    expect(timeToEmpty(atLeast(200), both)).toEqual({ kind: 'unclear' });
    expect(timeToEmpty(atLeast(200), flows([200, 100], [200, 100]))).toEqual({ kind: 'growing' });
  });

  it('holds the truth in at least nine of ten steady queues', () => {
    const random = seededRandom(5);
    /** Poisson by counting exponential gaps. */
    const poisson = (mean: number) => {
      let count = -1;
      for (let sum = 0; sum < mean; count++) sum -= Math.log(1 - random());
      return count;
    };
    let ranges = 0;
    let hits = 0;
    for (let i = 0; i < 400; i++) {
      const [arrivalRate, finishRate] = [20 + random() * 50, 90 + random() * 50];
      const depth = 500 + Math.floor(random() * 5_000);
      const five = [poisson(arrivalRate * 5), poisson(finishRate * 5)] as const;
      const ten = [poisson(arrivalRate * 10), poisson(finishRate * 10)] as const;
      const result = timeToEmpty(
        exact(depth),
        flows([five[0] / 5, five[1] / 5], [(five[0] + ten[0]) / 15, (five[1] + ten[1]) / 15]),
      );
      if (result.kind !== 'range') continue;
      ranges++;
      const truthMs = (depth / (finishRate - arrivalRate)) * MINUTES;
      if (result.minMs <= truthMs && truthMs <= result.maxMs) hits++;
    }
    expect(ranges).toBeGreaterThan(300);
    expect(hits / ranges).toBeGreaterThan(0.9);
  });
});
