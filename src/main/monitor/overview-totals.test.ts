import { describe, expect, it } from 'vitest';
import { tenantRow } from '../../contract/plain-rows.ts';
import { atLeast, estimate, exact } from '../../core/count.ts';
import { overviewTotals } from './overview-totals.ts';

const unknown = { kind: 'unknown' } as const;

describe('overviewTotals', () => {
  it('sums what is known and names the worst', () => {
    const rows = [
      tenantRow({ id: '1', name: 'one', lagMs: 100, ready: exact(4), arrivalsPerS: 0.5, attemptsPerS: 1 }),
      tenantRow({ id: '2', name: 'two', lagMs: 400_000, severity: 'critical', ready: atLeast(200) }),
      tenantRow({ id: '3', lagMs: null, status: 'no-data', ready: atLeast(0), arrivalsPerS: null }),
      tenantRow({ id: '4', status: 'stalled', lagMs: 5_000, running: exact(2), arrivalsPerS: 0.25 }),
    ];
    expect(overviewTotals(rows, { kind: 'growing' })).toEqual({
      late: 1,
      stalled: 1,
      ok: 1,
      noData: 1,
      worst: { tenantId: '2', name: 'two', lagMs: 400_000 },
      inPerMin: 45,
      outPerMin: 60,
      timeToEmpty: { kind: 'growing' },
      ready: atLeast(204),
      running: exact(2),
    });
  });

  it('has no worst when nobody waits, and no rate when none is known', () => {
    const totals = overviewTotals([tenantRow(), tenantRow({ id: '4', ready: estimate(7) })], unknown);
    expect(totals).toMatchObject({ worst: null, inPerMin: null, outPerMin: null, ready: estimate(7) });
    expect(overviewTotals([], unknown)).toMatchObject({ ok: 0, worst: null, ready: exact(0) });
  });
});
