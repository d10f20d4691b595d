import { describe, expect, it } from 'vitest';
import { atLeast, exact } from './count.ts';
import { nothingQueued, type TenantSample } from './sample.ts';
import { seededRandom } from './seeded-random.ts';
import { TenantWindow, type TenantView } from './tenant-window.ts';

const T0 = Date.UTC(2026, 0, 9, 12);
const SECOND = 1_000;
const MINUTE = 60_000;

const sample = (changes: Partial<TenantSample> = {}): TenantSample => ({ ...nothingQueued('3'), ...changes });

/** Polls at T0 + n × everyMs, n from 0 to `polls`, and the view at the last. */
function watch(
  window: TenantWindow,
  polls: number,
  at: (offsetMs: number, poll: number) => Partial<TenantSample>,
  everyMs = 2 * SECOND,
): TenantView {
  for (let n = 0; n <= polls; n++) window.add(sample(at(n * everyMs, n)), T0 + n * everyMs);
  const view = window.view(T0 + polls * everyMs);
  if (view === null) throw new Error('there are samples');
  return view;
}

/** A ready job that has waited this long at the poll. */
const waiting = (atMs: number, lagMs: number, ready = 1) => ({
  ready: exact(ready),
  oldestReady: { readyAtMs: atMs - lagMs, createdAtMs: atMs - lagMs - MINUTE, bound: 'exact' as const },
});

describe('TenantWindow: lag', () => {
  it('knows nothing before the first sample', () => {
    expect(new TenantWindow(MINUTE).view(T0)).toBeNull();
  });

  it('is the age of the oldest ready job; age counts from its creation', () => {
    const view = watch(new TenantWindow(MINUTE), 0, () => waiting(T0, 41 * SECOND));
    expect(view).toMatchObject({ lagMs: 41 * SECOND, lagBound: 'exact', ageMs: 101 * SECOND });
  });

  it('is 0 when certainly nothing is ready, and unknown when that is not certain', () => {
    expect(watch(new TenantWindow(MINUTE), 0, () => ({})).lagMs).toBe(0);
    expect(watch(new TenantWindow(MINUTE), 0, () => ({ ready: atLeast(0) })).lagMs).toBeNull();
  });

  it('is never negative, but says that the clocks disagree', () => {
    const view = watch(new TenantWindow(MINUTE), 0, () => waiting(T0, -5 * SECOND));
    expect(view).toMatchObject({ lagMs: 0, clockProblem: true });
  });

  it('keeps the bound of a head that is not the whole queue', () => {
    const oldestReady = { readyAtMs: T0 - 9, createdAtMs: T0 - 9, bound: 'at-least' as const };
    expect(watch(new TenantWindow(MINUTE), 0, () => ({ oldestReady })).lagBound).toBe('at-least');
  });

  it('remembers the least and the greatest of the window only', () => {
    const lags = (offsetMs: number) =>
      offsetMs < 30 * SECOND ? 500 * SECOND : offsetMs < 90 * SECOND ? 7 : 40;
    const view = watch(new TenantWindow(MINUTE), 70, (ms) => waiting(T0 + ms, lags(ms)));
    expect(view).toMatchObject({ minLagMs: 7, maxLagMs: 40 });
  });

  it('agrees with all samples of the window, at any poll interval', () => {
    const random = seededRandom(3);
    for (const everyMs of [250, 2_000, 7_000, 20_000]) {
      const window = new TenantWindow(MINUTE);
      const lags: number[] = [];
      for (let n = 0; n < 300; n++) {
        const at = T0 + n * everyMs;
        lags.push(Math.floor(random() * 400_000));
        window.add(sample(waiting(at, lags[n] ?? 0)), at);
        const view = window.view(at);
        const inside = lags.slice(Math.max(0, n - Math.ceil(MINUTE / everyMs) + 1));
        // A bucket is two seconds long: up to so much more may still be remembered.
        const around = lags.slice(Math.max(0, n - Math.ceil((MINUTE + 2_000) / everyMs)));
        expect(view?.minLagMs).toBeLessThanOrEqual(Math.min(...inside));
        expect(view?.minLagMs).toBeGreaterThanOrEqual(Math.min(...around));
        expect(view?.maxLagMs).toBeGreaterThanOrEqual(Math.max(...inside));
        expect(view?.maxLagMs).toBeLessThanOrEqual(Math.max(...around));
      }
    }
  });
});

describe('TenantWindow: trend', () => {
  const trendOf = (lagAt: (offsetMs: number) => number) =>
    watch(new TenantWindow(MINUTE), 40, (ms) => waiting(T0 + ms, lagAt(ms))).trend;

  it('rises while the same job waits, falls while the queue catches up, is steady between', () => {
    expect(trendOf((ms) => 200 * SECOND + ms)).toBe('rising');
    expect(trendOf((ms) => 200 * SECOND - ms)).toBe('falling');
    expect(trendOf(() => 200 * SECOND)).toBe('steady');
  });

  it('looks through the teeth of a saw', () => {
    expect(trendOf((ms) => 200 * SECOND + (ms % 6_000))).toBe('steady');
    expect(trendOf((ms) => 200 * SECOND - ms / 2 + (ms % 6_000))).toBe('falling');
  });

  it('has no trend before half the window', () => {
    expect(watch(new TenantWindow(MINUTE), 14, (ms) => waiting(T0 + ms, ms)).trend).toBeNull();
  });
});

describe('TenantWindow: rates', () => {
  it('come from the totals, exactly', () => {
    const view = watch(new TenantWindow(MINUTE), 60, (_ms, n) => ({
      arrivalsTotal: 1_000 + n * 7,
      attemptsTotal: 50 + n * 3,
    }));
    expect(view.arrivalsPerS).toBeCloseTo(3.5);
    expect(view.attemptsPerS).toBeCloseTo(1.5);
    expect(view).toMatchObject({ ratesApproximate: false, lastArrivals: 7, lastAttempts: 3 });
  });

  it('are over the window, not since the start', () => {
    const view = watch(new TenantWindow(MINUTE), 100, (_ms, n) => ({
      arrivalsTotal: Math.min(n, 60) * 10,
      attemptsTotal: 0,
    }));
    expect(view.arrivalsPerS).toBe(0);
  });

  it('come from differences of exact samples where there is no total, and say so', () => {
    const view = watch(new TenantWindow(MINUTE), 30, (_ms, n) => ({
      delayed: exact(n),
      attemptsTotal: n * 4,
    }));
    expect(view.arrivalsPerS).toBeCloseTo(2.5);
    expect(view.ratesApproximate).toBe(true);
  });

  it('never come from differences of capped counts', () => {
    const view = watch(new TenantWindow(MINUTE), 30, (_ms, n) => ({ ready: atLeast(n) }));
    expect(view).toMatchObject({ arrivalsPerS: null, attemptsPerS: null, lastArrivals: null });
  });

  it('are neither negative nor wild when a counter is reset or misread', () => {
    for (const totals of [
      (n: number) => (n < 15 ? 5_000_000 + n : n - 15),
      (n: number) => (n === 15 ? 0 : 5_000_000 + n),
    ]) {
      const view = watch(new TenantWindow(MINUTE), 30, (_ms, n) => ({
        arrivalsTotal: totals(n),
        attemptsTotal: 0,
      }));
      expect(view.arrivalsPerS).toBeGreaterThan(0.4);
      expect(view.arrivalsPerS).toBeLessThan(0.6);
    }
  });

  it('agree with a simulated queue over 5 and 15 minutes', () => {
    const random = seededRandom(11);
    const window = new TenantWindow(MINUTE);
    const arrivals: number[] = [];
    let total = 0;
    for (let at = T0; at <= T0 + 40 * MINUTE; at += 1_000 + random() * 3_000) {
      while (total < ((at - T0) / 1_000) * 2) {
        arrivals.push(at);
        total++;
      }
      window.add(sample({ arrivalsTotal: total, attemptsTotal: 0 }), at);
      const view = window.view(at);
      for (const flow of view?.netFlows ?? []) {
        const truth = arrivals.filter((t) => t > at - flow.spanMs && t <= at).length;
        expect(flow.arrivals.coveredMs).toBeCloseTo(flow.spanMs, 3);
        if (at - T0 >= 16 * MINUTE) expect(flow.arrivals.count).toBe(truth);
      }
    }
    const spans = window.view(T0 + 40 * MINUTE)?.netFlows.map((flow) => Math.round(flow.spanMs / MINUTE));
    expect(spans).toEqual([5, 15]);
  });

  it('forecast when the queue will be empty', () => {
    const view = watch(new TenantWindow(MINUTE), 450, (ms, n) => ({
      ...waiting(T0 + ms, MINUTE, 1_000 - 2 * n),
      arrivalsTotal: n * 2,
      attemptsTotal: n * 4,
    }));
    if (view.timeToEmpty.kind !== 'range') throw new Error(view.timeToEmpty.kind);
    expect(view.timeToEmpty.minMs).toBeLessThan(100 * SECOND);
    expect(view.timeToEmpty.maxMs).toBeGreaterThan(100 * SECOND);
  });
});

describe('TenantWindow: starts and finishes', () => {
  it('sees that nothing starts and nothing finishes', () => {
    const view = watch(new TenantWindow(MINUTE), 40, (ms) => ({ ...waiting(T0 + ms, ms), attemptsTotal: 9 }));
    expect(view).toMatchObject({ started: false, finished: false });
  });

  it('does not know when nobody counts', () => {
    const view = watch(new TenantWindow(MINUTE), 40, (ms) => waiting(T0 + ms, ms));
    expect(view).toMatchObject({ started: null, finished: null });
  });

  it('sees jobs that start and finish between two polls', () => {
    const view = watch(new TenantWindow(MINUTE), 40, (ms, n) => ({
      ...waiting(T0 + ms, ms),
      attemptsTotal: n,
    }));
    expect(view).toMatchObject({ started: true, finished: true });
  });

  it('tells a finish of an old job from a start', () => {
    const view = watch(new TenantWindow(MINUTE), 40, (ms, n) => ({
      ...waiting(T0 + ms, ms),
      running: exact(n < 30 ? 1 : 0),
      attemptsTotal: n < 30 ? 7 : 8,
      lastStartedAtMs: n < 30 ? T0 - MINUTE : null,
    }));
    expect(view).toMatchObject({ started: false, finished: true });
  });

  it('sees a start that still runs', () => {
    const view = watch(new TenantWindow(MINUTE), 40, (ms) => ({
      ...waiting(T0 + ms, ms),
      running: exact(1),
      attemptsTotal: 7,
      lastStartedAtMs: T0 + 30 * SECOND,
    }));
    expect(view).toMatchObject({ started: true, finished: false });
    const later = watch(new TenantWindow(MINUTE), 60, (ms) => ({
      ...waiting(T0 + ms, ms),
      running: exact(1),
      attemptsTotal: 7,
      lastStartedAtMs: T0 + 30 * SECOND,
    }));
    expect(later.started).toBe(false);
  });
});

describe('TenantWindow: gaps', () => {
  it('is full when it has been watched for its whole length', () => {
    const window = new TenantWindow(MINUTE);
    expect(watch(window, 10, () => ({})).warmingUpMs).toBe(40 * SECOND);
    expect(watch(new TenantWindow(MINUTE), 30, () => ({})).warmingUpMs).toBe(0);
  });

  it('has no view once the newest sample is older than the window', () => {
    const window = new TenantWindow(MINUTE);
    watch(window, 40, () => ({}));
    expect(window.view(T0 + 80 * SECOND + MINUTE)).not.toBeNull();
    expect(window.view(T0 + 80 * SECOND + MINUTE + 1)).toBeNull();
  });

  it('fills anew after a gap, while the counters bridge it', () => {
    const window = new TenantWindow(MINUTE);
    watch(window, 40, (ms, n) => ({ ...waiting(T0 + ms, MINUTE), arrivalsTotal: n * 2, attemptsTotal: 0 }));
    const back = T0 + 80 * SECOND + 10 * MINUTE;
    window.add(sample({ arrivalsTotal: 680, attemptsTotal: 0 }), back);
    const view = window.view(back);
    expect(view).toMatchObject({ warmingUpMs: MINUTE, maxLagMs: 0, arrivalsPerS: null, started: null });
    expect(view?.netFlows[1]?.arrivals.count).toBe(680);
    expect(window.view(back + 2 * MINUTE)).toBeNull();
  });

  it('takes a poll interval longer than the window as the rhythm, not as gaps', () => {
    const view = watch(
      new TenantWindow(10 * SECOND),
      3,
      (_ms, n) => ({ arrivalsTotal: n, attemptsTotal: n }),
      MINUTE,
    );
    expect(view).toMatchObject({ warmingUpMs: 0, started: true, finished: true });
  });

  it('begins anew when the database clock steps backwards', () => {
    const window = new TenantWindow(MINUTE);
    watch(window, 40, (_ms, n) => ({ arrivalsTotal: n, attemptsTotal: n }));
    window.add(sample({ arrivalsTotal: 41, attemptsTotal: 41 }), T0);
    window.add(sample({ arrivalsTotal: 43, attemptsTotal: 43 }), T0 + 2 * SECOND);
    expect(window.view(T0 + 2 * SECOND)).toMatchObject({ warmingUpMs: 58 * SECOND, arrivalsPerS: 1 });
  });
});
