import { describe, expect, it } from 'vitest';
import type { AlertRule } from './alert.ts';
import {
  acknowledgeAlert,
  episodeOf,
  levelOf,
  restoreAlert,
  stepAlert,
  type AlertProgress,
  type AlertStep,
  type Observation,
} from './alert-machine.ts';
import { seededRandom } from './seeded-random.ts';

const T0 = Date.UTC(2026, 0, 9, 12);
const S = 1_000;

const lagRule: AlertRule = {
  id: 'lag',
  title: 'Lag',
  unit: 'ms',
  direction: 'above',
  warning: 180,
  critical: 300,
  forMs: 10 * S,
  keepFiringForMs: 30 * S,
  enabled: true,
};
const normal: AlertProgress = { state: 'normal', sinceMs: T0 };
const quiet = { sinceMs: T0, severity: null, firedAtMs: null, acknowledged: null, error: null };

type Seen = number | 'missing' | 'error' | { inhibited: number };

function observe(seen: Seen): Observation {
  if (seen === 'missing') return { kind: 'missing', inhibited: false };
  if (seen === 'error') return { kind: 'error', message: 'no grant', inhibited: false };
  if (typeof seen === 'number') return { kind: 'value', value: seen, inhibited: false };
  return { kind: 'value', value: seen.inhibited, inhibited: true };
}

/** Plays [seconds, what is seen] and tells what happened, as `second: from>to severity notice`. */
function play(
  script: [number, Seen][],
  rule = lagRule,
  from = normal,
): { log: string[]; end: AlertProgress } {
  let end = from;
  const log: string[] = [];
  for (const [second, seen] of script) {
    const { next, change, notice } = stepAlert(end, observe(seen), rule, T0 + second * S);
    end = next;
    if (change !== null)
      log.push([`${second}: ${change.from}>${change.to}`, change.severity, notice].filter(Boolean).join(' '));
  }
  return { log, end };
}

describe('stepAlert', () => {
  it('fires after `for`, recovers, and clears after `keep firing for`', () => {
    const { log } = play([
      [0, 100],
      [2, 181],
      [8, 190],
      [12, 200],
      [14, 200],
      [20, 170],
      [40, 10],
      [50, 10],
    ]);
    expect(log).toEqual([
      '2: normal>pending warning',
      '12: pending>firing warning firing',
      '20: firing>recovering warning',
      '50: recovering>normal warning resolved',
    ]);
  });

  it('takes a value at the level for not beyond it', () => {
    expect(play([[0, 180]]).end.state).toBe('normal');
  });

  it('does not fire when the condition breaks off before `for`', () => {
    const { log } = play([
      [0, 200],
      [8, 100],
      [9, 200],
      [18, 200],
    ]);
    expect(log).toEqual(['0: normal>pending warning', '8: pending>normal', '9: normal>pending warning']);
  });

  it('fires at once without a `for`, clears at once without a `keep firing for`', () => {
    const rule = { ...lagRule, forMs: 0, keepFiringForMs: 0 };
    const { log } = play(
      [
        [0, 400],
        [1, 0],
      ],
      rule,
    );
    expect(log).toEqual(['0: normal>firing critical firing', '1: firing>normal critical resolved']);
  });

  it('escalates once the critical level has been held for `for`, and tells it once', () => {
    const { log } = play([
      [0, 200],
      [10, 310],
      [15, 200],
      [16, 310],
      [26, 310],
      [27, 200],
      [57, 200],
      [60, 310],
      [70, 310],
    ]);
    expect(log).toEqual([
      '0: normal>pending warning',
      '10: pending>firing warning firing',
      '26: firing>firing critical escalated',
      // Milder for 30 s, then worse again: marks for the timeline, but nobody is told a second time.
      '57: firing>firing warning',
      '70: firing>firing critical',
    ]);
  });

  it('fires as critical when that was held all the time', () => {
    expect(
      play([
        [0, 400],
        [10, 400],
      ]).log.at(-1),
    ).toBe('10: pending>firing critical firing');
  });

  it('waits for the critical level itself when a rule has no warning', () => {
    const { log } = play(
      [
        [0, 301],
        [9, 200],
        [10, 301],
        [20, 301],
      ],
      { ...lagRule, warning: null },
    );
    expect(log).toEqual([
      '0: normal>pending critical',
      '9: pending>normal',
      '10: normal>pending critical',
      '20: pending>firing critical firing',
    ]);
  });

  it('watches what must not fall too', () => {
    const rule = { direction: 'below', warning: 0.95, critical: 0.9 } as const;
    expect([0.96, 0.95, 0.94, 0.89].map((value) => levelOf(value, rule))).toEqual([
      null,
      null,
      'warning',
      'critical',
    ]);
  });

  it('goes back and forth between firing and recovering without a word', () => {
    const { log } = play([
      [0, 200],
      [10, 200],
      [20, 0],
      [45, 200],
      [50, 0],
      [75, 0],
      [80, 0],
    ]);
    expect(log).toEqual([
      '0: normal>pending warning',
      '10: pending>firing warning firing',
      '20: firing>recovering warning',
      '45: recovering>firing warning',
      '50: firing>recovering warning',
      '80: recovering>normal warning resolved',
    ]);
  });

  it('keeps the episode open without data, and does not call that good', () => {
    const { log } = play([
      [0, 200],
      [10, 200],
      [20, 'missing'],
      [9_000, 'missing'],
      [9_002, 200],
      [9_004, 'error'],
      [9_006, 0],
      [9_030, 'missing'],
      [9_040, 0],
      [9_069, 0],
      [9_070, 0],
    ]);
    expect(log).toEqual([
      '0: normal>pending warning',
      '10: pending>firing warning firing',
      '20: firing>no-data warning',
      '9002: no-data>firing warning',
      '9004: firing>error warning',
      '9006: error>recovering warning',
      '9030: recovering>no-data warning',
      '9040: no-data>recovering warning',
      '9070: recovering>normal warning resolved',
    ]);
  });

  it('begins anew when a pending alert loses its data', () => {
    const { log } = play([
      [0, 200],
      [5, 'missing'],
      [9, 200],
      [15, 200],
      [19, 200],
    ]);
    expect(log).toEqual([
      '0: normal>pending warning',
      '5: pending>no-data',
      '9: no-data>pending warning',
      '19: pending>firing warning firing',
    ]);
  });

  it('takes what is not a number for missing', () => {
    expect(play([[0, NaN]]).end.state).toBe('no-data');
  });

  it('remembers why it could not be evaluated', () => {
    expect(play([[0, 'error']]).end).toMatchObject({ state: 'error', message: 'no grant', episode: null });
  });

  it('holds notices back while inhibited, and gives them when it still fires after', () => {
    const { log } = play([
      [0, { inhibited: 400 }],
      [10, { inhibited: 400 }],
      [20, 400],
      [22, 400],
    ]);
    expect(log).toEqual([
      '0: normal>pending critical',
      '10: pending>firing critical',
      '20: firing>firing critical firing',
    ]);
  });

  it('says nothing of an episode nobody was told of', () => {
    const { log } = play([
      [0, { inhibited: 200 }],
      [10, { inhibited: 200 }],
      [20, { inhibited: 0 }],
      [60, 0],
    ]);
    expect(log.at(-1)).toBe('60: recovering>normal warning');
  });

  it('does not end unseen while inhibited', () => {
    const { log } = play([
      [0, 200],
      [10, 200],
      [20, { inhibited: 0 }],
      [100, { inhibited: 0 }],
      [102, 0],
    ]);
    expect(log.slice(-2)).toEqual([
      '20: firing>recovering warning',
      '102: recovering>normal warning resolved',
    ]);
  });

  it('is quiet once somebody owns it, but says when it is over', () => {
    const firing = play([
      [0, 200],
      [10, 200],
    ]).end;
    const owned = acknowledgeAlert(firing, 'ann', T0 + 12 * S);
    expect(episodeOf(owned)?.acknowledged).toEqual({ by: 'ann', atMs: T0 + 12 * S });
    const { log } = play(
      [
        [14, 400],
        [24, 400],
        [30, 0],
        [60, 0],
      ],
      lagRule,
      owned,
    );
    expect(log).toEqual([
      '24: firing>firing critical',
      '30: firing>recovering critical',
      '60: recovering>normal critical resolved',
    ]);
  });

  it('has nothing to acknowledge before it fires', () => {
    expect(acknowledgeAlert(normal, 'ann', T0)).toBe(normal);
  });

  it('goes quietly to normal when its rule is switched off', () => {
    const { end } = play([
      [0, 200],
      [10, 200],
    ]);
    const { log } = play([[12, 400]], { ...lagRule, enabled: false }, end);
    expect(log).toEqual(['12: firing>normal warning']);
  });

  it('does not fire when the clock steps back', () => {
    const { log } = play([
      [0, 200],
      [-3_600, 200],
      [9, 200],
    ]);
    expect(log).toEqual(['0: normal>pending warning']);
  });
});

describe('restoreAlert', () => {
  const kept = { sinceMs: T0, severity: 'warning', firedAtMs: T0, acknowledged: null, error: null } as const;

  it('goes on with what fired, without telling it again', () => {
    const { log } = play([[100, 200]], lagRule, restoreAlert({ ...kept, state: 'firing' }));
    expect(log).toEqual([]);
    const over = play(
      [
        [100, 0],
        [130, 0],
      ],
      lagRule,
      restoreAlert({ ...kept, state: 'no-data' }),
    );
    expect(over.log.at(-1)).toBe('130: recovering>normal warning resolved');
  });

  it('begins anew with what was pending', () => {
    const { log } = play([[100, 200]], lagRule, restoreAlert({ ...kept, state: 'pending', firedAtMs: null }));
    expect(log).toEqual(['100: no-data>pending warning']);
  });

  it('keeps every other state', () => {
    for (const state of ['normal', 'recovering', 'error'] as const) {
      expect(restoreAlert({ ...kept, state }).state).toBe(state);
    }
  });
});

describe('any sequence of observations', () => {
  it('keeps the promises at the head of the file', () => {
    const random = seededRandom(2026);
    const pick = <T>(choices: readonly T[]): T => {
      const choice = choices[Math.floor(random() * choices.length)];
      if (choice === undefined) throw new Error('nothing to pick');
      return choice;
    };
    let fired = 0;
    for (let run = 0; run < 150; run++) {
      const rule = { ...lagRule, forMs: pick([0, 5, 10]) * S, keepFiringForMs: pick([0, 10, 30]) * S };
      let current = restoreAlert({ ...quiet, state: 'normal' });
      let beyondSinceMs: number | null = null;
      let goneSinceMs: number | null = null;
      let notices: string[] = [];
      for (let now = T0, i = 0; i < 200; i++, now += pick([1, 2, 7]) * S) {
        const seen = pick<Seen>([
          0,
          0,
          200,
          200,
          200,
          400,
          400,
          'missing',
          'error',
          { inhibited: 400 },
          { inhibited: 0 },
        ]);
        const observation = observe(seen);
        if (random() < 0.02) current = acknowledgeAlert(current, 'ann', now);
        // Plain data: what is written down and read again goes on the same.
        const step: AlertStep = stepAlert(
          JSON.parse(JSON.stringify(current)) as AlertProgress,
          observation,
          rule,
          now,
        );
        const isBeyond = observation.kind === 'value' && levelOf(observation.value, rule) !== null;
        const isGone = observation.kind === 'value' && !isBeyond;
        beyondSinceMs = isBeyond ? (beyondSinceMs ?? now) : null;
        goneSinceMs = isGone ? (goneSinceMs ?? now) : null;

        if (episodeOf(current) === null && episodeOf(step.next) !== null) {
          expect(beyondSinceMs).not.toBeNull();
          expect(now - (beyondSinceMs ?? now)).toBeGreaterThanOrEqual(rule.forMs);
          fired++;
        }
        if (step.next.state === 'normal' && current.state !== 'normal') {
          expect(isGone).toBe(true);
          if (episodeOf(current) !== null) {
            expect(now - (goneSinceMs ?? now)).toBeGreaterThanOrEqual(rule.keepFiringForMs);
          }
        }
        if (!isGone) expect(step.next.state === 'normal').toBe(false);
        if (step.notice !== null) {
          expect(observation.inhibited).toBe(false);
          if (step.notice !== 'resolved') expect(episodeOf(step.next)?.acknowledged).toBeNull();
          expect(notices).not.toContain(step.notice);
          notices.push(step.notice);
          if (step.notice === 'resolved') expect(notices[0]).toBe('firing');
        }
        if (episodeOf(step.next) === null) {
          // Who was told that it fires is told that it is over.
          expect(notices.includes('firing')).toBe(notices.includes('resolved'));
          notices = [];
        }
        current = step.next;
      }
    }
    expect(fired).toBeGreaterThan(400);
  });
});
