import { describe, expect, it } from 'vitest';
import { causeKindSchema, causeOfLateness, causeSchema, type CauseFacts } from './cause.ts';
import { exact } from './count.ts';

const LATE_MS = 312_000;

/** A tenant that is late for no known reason, but for the changes. */
function facts(changes: Partial<CauseFacts> = {}): CauseFacts {
  return {
    status: 'lagging',
    lagMs: LATE_MS,
    allowedLagMs: 180_000,
    unreachableMs: null,
    paused: null,
    workers: { silentMs: 0, lastSeenMs: 1_000, patienceMs: 60_000, utilisation: null },
    databaseBlocked: null,
    staleAtHead: 0,
    behind: null,
    tenantId: '3',
    shares: null,
    stages: [],
    arrivalsPerS: null,
    attemptsPerS: null,
    ...changes,
  };
}

const behindEdify: CauseFacts['behind'] = {
  ahead: exact(9_812),
  tenants: [
    { tenantId: '12', name: 'edify', share: 0.97 },
    { tenantId: '17', name: 'shop', share: 0.02 },
  ],
  claimOrder: 'lowest id first',
};
const workers = (changes: Partial<CauseFacts['workers']>) => ({ ...facts().workers, ...changes });
const deliver = { stage: 'deliver', p95Ms: 8_400, baselineP95Ms: 900, count: 20 };

/** Facts that make each cause hold, in the order of the definition. */
const each: [string, Partial<CauseFacts>, string][] = [
  ['unreachable', { unreachableMs: 45_000 }, 'connection unreachable'],
  ['paused', { paused: { by: 'ann', reason: 'deploy' } }, 'paused by ann'],
  [
    'no-worker',
    { workers: workers({ silentMs: 372_000, lastSeenMs: 372_000 }) },
    'no worker seen for 6m 12s',
  ],
  ['database-blocked', { databaseBlocked: '12 lock waits' }, 'database blocked'],
  ['stale-locks', { staleAtHead: 2 }, 'stale locks at the head (2)'],
  ['behind-neighbour', { behind: behindEdify }, 'behind edify (97 % of 9,812)'],
  ['workers-saturated', { workers: workers({ utilisation: 0.97 }) }, 'workers 97 % busy'],
  ['slow-stage', { stages: [deliver] }, 'slow stage: deliver'],
  ['over-capacity', { arrivalsPerS: 4, attemptsPerS: 3 }, 'arrivals over capacity'],
];

describe('causeOfLateness', () => {
  it.each(each)('finds %s', (kind, changes, text) => {
    const cause = causeOfLateness(facts(changes));
    expect(cause).toMatchObject({ kind, text, also: [] });
    expect(causeSchema.parse(cause)).toEqual(cause);
    expect(cause?.evidence).not.toEqual([]);
  });

  it('takes the first that holds as the headline and lists the others, in order', () => {
    expect(each.map(([kind]) => kind)).toEqual(causeKindSchema.options.slice(0, -1));
    for (let i = 0; i < each.length; i++) {
      const holding = each.slice(i);
      const merged = Object.assign({}, ...holding.map(([, changes]) => changes)) as Partial<CauseFacts>;
      const silent = holding.some(([kind]) => kind === 'no-worker') ? 372_000 : 0;
      const busy = holding.some(([kind]) => kind === 'workers-saturated') ? 0.97 : null;
      const cause = causeOfLateness(
        facts({ ...merged, workers: workers({ silentMs: silent, lastSeenMs: silent, utilisation: busy }) }),
      );
      expect([cause?.text, ...(cause?.also ?? [])]).toEqual(holding.map(([, , text]) => text));
    }
  });

  it('says so when nothing explains it', () => {
    expect(causeOfLateness(facts())).toEqual({
      kind: 'unclear',
      text: 'cause unclear',
      evidence: ['lag 5m 12s, allowed 3m 00s'],
      also: [],
    });
  });

  it('is silent about a tenant that is not late', () => {
    const everything = Object.assign({}, ...each.map(([, changes]) => changes)) as Partial<CauseFacts>;
    expect(causeOfLateness(facts({ ...everything, status: 'ok', lagMs: 180_000 }))).toBeNull();
    expect(causeOfLateness(facts({ ...everything, status: 'no-data', lagMs: null }))).toBeNull();
  });

  it.each(['stopped', 'stalled', 'stuck'] as const)(
    'explains a tenant that is %s whatever its lag',
    (status) => {
      expect(causeOfLateness(facts({ status, lagMs: null }))?.text).toBe('cause unclear');
    },
  );

  it('says that no worker was ever seen', () => {
    const cause = causeOfLateness(facts({ workers: workers({ silentMs: 61_000, lastSeenMs: null }) }));
    expect(cause?.text).toBe('no worker seen');
  });

  it('is patient with workers for the window', () => {
    expect(causeOfLateness(facts({ workers: workers({ silentMs: 60_000 }) }))?.kind).toBe('unclear');
  });
});

describe('behind a neighbour', () => {
  const shares = (own: [number, number], theirs: [number, number]) =>
    new Map([
      ['3', { share: own[0], fairShare: own[1] }],
      ['12', { share: theirs[0], fairShare: theirs[1] }],
    ]);

  it('holds when the neighbour takes more than its share and this tenant far less', () => {
    const cause = causeOfLateness(facts({ behind: behindEdify, shares: shares([0, 0.1], [0.95, 0.45]) }));
    expect(cause?.evidence).toEqual([
      '9,812 ready jobs are claimed first (lowest id first)',
      'edify took 95 % of the starts, fair: 45 %',
      'this tenant took 0 % of the starts, fair: 10 %',
    ]);
  });

  it('does not hold when turns were fair', () => {
    expect(
      causeOfLateness(facts({ behind: behindEdify, shares: shares([0.1, 0.1], [0.5, 0.45]) }))?.kind,
    ).toBe('unclear');
    expect(causeOfLateness(facts({ behind: behindEdify, shares: shares([0, 0.1], [0.4, 0.45]) }))?.kind).toBe(
      'unclear',
    );
  });

  it('does not blame one of many, nor the tenant itself', () => {
    const many = { ...behindEdify, tenants: behindEdify.tenants.map((owner) => ({ ...owner, share: 0.3 })) };
    expect(causeOfLateness(facts({ behind: many }))?.kind).toBe('unclear');
    expect(causeOfLateness(facts({ behind: behindEdify, tenantId: '12' }))?.kind).toBe('unclear');
  });
});

describe('a slow stage', () => {
  it('needs 20 jobs, a baseline and more than three times that', () => {
    for (const stage of [
      { ...deliver, count: 19 },
      { ...deliver, baselineP95Ms: null },
      { ...deliver, p95Ms: null },
      { ...deliver, p95Ms: 2_700 },
    ]) {
      expect(causeOfLateness(facts({ stages: [stage] }))?.kind).toBe('unclear');
    }
  });

  it('is the one that costs most', () => {
    const dkim = { stage: 'dkim', p95Ms: 40, baselineP95Ms: 1, count: 50 };
    const cause = causeOfLateness(facts({ stages: [dkim, deliver] }));
    expect(cause?.text).toBe('slow stage: deliver');
    expect(cause?.evidence).toEqual([
      'deliver: p95 8.4 s over 20 jobs, usually 900 ms',
      'dkim: p95 40 ms over 50 jobs, usually 1 ms',
    ]);
  });
});
