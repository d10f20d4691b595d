// The totals line of an overview, from its rows.
import { groupOf, type OverviewHead, type TenantRow } from '../../contract/live.ts';
import { sumCounts } from '../../core/count.ts';
import type { TimeToEmpty } from '../../core/time-to-empty.ts';

type Totals = OverviewHead['totals'];

export function overviewTotals(rows: Iterable<TenantRow>, timeToEmpty: TimeToEmpty): Totals {
  const all = [...rows];
  const counts = { late: 0, stalled: 0, ok: 0, 'no-data': 0 };
  let worst: Totals['worst'] = null;
  for (const row of all) {
    counts[groupOf(row)] += 1;
    if (row.lagMs !== null && row.lagMs > (worst?.lagMs ?? 0))
      worst = { tenantId: row.id, name: row.name, lagMs: row.lagMs };
  }
  return {
    late: counts.late,
    stalled: counts.stalled,
    ok: counts.ok,
    noData: counts['no-data'],
    worst,
    inPerMin: perMinute(all.map((row) => row.arrivalsPerS)),
    outPerMin: perMinute(all.map((row) => row.attemptsPerS)),
    timeToEmpty,
    ready: sumCounts(all.map((row) => row.ready)),
    running: sumCounts(all.map((row) => row.running)),
  };
}

/** The sum of what is known; null when nothing is. */
function perMinute(ratesPerS: (number | null)[]): number | null {
  const known = ratesPerS.filter((rate) => rate !== null);
  return known.length === 0 ? null : known.reduce((sum, rate) => sum + rate, 0) * 60;
}
