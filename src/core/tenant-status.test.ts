import { describe, expect, it } from 'vitest';
import { atLeast, exact, zero, type Count } from './count.ts';
import { nothingQueued } from './sample.ts';
import { tenantStatusSchema } from './status.ts';
import { tenantStatus, type StatusFacts } from './tenant-status.ts';

const LEVEL = 180_000;
const OVER = LEVEL + 1;
const WINDOW = 60_000;

interface Changes {
  ready?: Count;
  running?: Count;
  paused?: boolean;
  lagMs?: number | null;
  minLagMs?: number | null;
  trend?: 'rising' | 'falling' | 'steady' | null;
  warmingUpMs?: number;
  started?: boolean | null;
  finished?: boolean | null;
  workersSilentMs?: number;
  /** Ready jobs before its own; null when not known. */
  ahead?: number | null;
}

/** A tenant with work that goes well, but for the changes. */
function facts(changes: Changes = {}): StatusFacts {
  const lagMs = changes.lagMs === undefined ? 5_000 : changes.lagMs;
  return {
    view: {
      sample: {
        ...nothingQueued('3'),
        ready: changes.ready ?? exact(3),
        running: changes.running ?? exact(1),
        behind: changes.ahead == null ? null : { ahead: exact(changes.ahead), tenants: [] },
        paused: changes.paused ? { by: 'ann', sinceMs: null, reason: 'deploy' } : null,
      },
      lagMs,
      minLagMs: changes.minLagMs === undefined ? lagMs : changes.minLagMs,
      maxLagMs: lagMs,
      trend: changes.trend === undefined ? 'steady' : changes.trend,
      warmingUpMs: changes.warmingUpMs ?? 0,
      started: changes.started === undefined ? true : changes.started,
      finished: changes.finished === undefined ? true : changes.finished,
    },
    windowMs: WINDOW,
    workersSilentMs: changes.workersSilentMs ?? 0,
    allowedLagMs: LEVEL,
  };
}

const nothing = { ready: zero, running: zero, lagMs: 0 };

describe('tenantStatus', () => {
  const cases: [string, Changes, string][] = [
    ['all is well', {}, 'ok'],
    ['the window is not full', { warmingUpMs: 1, lagMs: OVER }, 'warming-up'],
    ['somebody paused it', { paused: true, lagMs: OVER }, 'paused'],
    ['no worker was seen for longer than the window', { workersSilentMs: WINDOW + 1 }, 'stopped'],
    ['no worker was seen for exactly the window', { workersSilentMs: WINDOW }, 'ok'],
    [
      'the workers of others are gone while others have work',
      { ...nothing, workersSilentMs: WINDOW + 1 },
      'stopped',
    ],
    ['there is nothing to do', nothing, 'idle'],
    ['nothing is ready but something runs', { ready: zero, lagMs: 0 }, 'ok'],
    ['something may be ready', { ready: atLeast(0), running: zero, lagMs: null }, 'no-data'],
    ['the lag is at the level', { lagMs: LEVEL, started: false, finished: false }, 'ok'],
    ['the lag was at the level once', { lagMs: OVER, minLagMs: LEVEL, trend: 'rising' }, 'ok'],
    ['nothing starts', { lagMs: OVER, started: false }, 'stalled'],
    ['nothing starts though its turn has come', { lagMs: OVER, started: false, ahead: 0 }, 'stalled'],
    ['nothing starts for it behind others', { lagMs: OVER, started: false, ahead: 50 }, 'lagging'],
    ['nothing starts nor finishes', { lagMs: OVER, started: false, finished: false }, 'stalled'],
    ['nothing starts and the lag is not known', { lagMs: null, started: false }, 'stalled'],
    ['nothing finishes', { lagMs: OVER, finished: false }, 'stuck'],
    ['nothing is known of starts and finishes', { lagMs: OVER, started: null, finished: null }, 'lagging'],
    ['the lag grows', { lagMs: OVER, trend: 'rising' }, 'lagging'],
    ['the lag stays', { lagMs: OVER, trend: 'steady' }, 'lagging'],
    ['the way of the lag is not known', { lagMs: OVER, trend: null }, 'lagging'],
    ['the lag falls', { lagMs: OVER, trend: 'falling' }, 'recovering'],
    ['the lag was never measured', { lagMs: null }, 'no-data'],
    ['the lag is not measured now but was fine', { lagMs: null, minLagMs: 0 }, 'ok'],
    [
      'only more than some are ready, none starts',
      { ready: atLeast(200), lagMs: OVER, started: false },
      'stalled',
    ],
  ];
  for (const [when, changes, status] of cases) {
    it(`is ${status} when ${when}`, () => expect(tenantStatus(facts(changes))).toBe(status));
  }

  it('is no-data without a sample, whatever else', () => {
    expect(tenantStatus({ ...facts({ workersSilentMs: 1e9 }), view: null })).toBe('no-data');
  });

  it('never gives a later word while an earlier one holds, over all combinations', () => {
    const order = tenantStatusSchema.options;
    const seen = new Set<string>();
    for (const warmingUpMs of [0, 1])
      for (const paused of [false, true])
        for (const workersSilentMs of [0, WINDOW + 1])
          for (const ready of [zero, exact(2), atLeast(0)])
            for (const running of [zero, exact(1)])
              for (const lagMs of [null, 0, OVER])
                for (const started of [null, true, false])
                  for (const finished of [null, true, false])
                    for (const trend of ['rising', 'falling', null] as const) {
                      const late = lagMs !== null && lagMs > LEVEL;
                      const fine = lagMs !== null && !late;
                      // Each word's own condition, without the ones before it.
                      const holds: Record<string, boolean> = {
                        'warming-up': warmingUpMs > 0,
                        paused,
                        stopped: workersSilentMs > WINDOW,
                        idle: ready === zero && running === zero,
                        ok: fine,
                        stalled: ready.value > 0 && started === false,
                        stuck: running.value > 0 && finished === false,
                        lagging: late && trend !== 'falling',
                        recovering: late && trend === 'falling',
                      };
                      const expected = order.find((word) => holds[word]) ?? 'no-data';
                      const status = tenantStatus(
                        facts({
                          warmingUpMs,
                          paused,
                          workersSilentMs,
                          ready,
                          running,
                          lagMs,
                          started,
                          finished,
                          trend,
                        }),
                      );
                      expect(status).toBe(expected);
                      seen.add(status);
                    }
    expect([...seen].toSorted()).toEqual([...order].toSorted());
  });
});
