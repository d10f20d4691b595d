// The made-up system's past: one smooth hill with a gap, so that charts have something to show.
import type { History, HistoryQuery } from '../../../src/contract/history.ts';

export function playHistory({ fromMs, toMs, maxPoints, tenantId }: HistoryQuery): History {
  const steps = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000];
  const bucketMs = steps.find((step) => (toMs - fromMs) / step <= maxPoints) ?? 86_400_000;
  const start = Math.floor(fromMs / bucketMs) * bucketMs;
  const points: History['points'] = [];
  const seed = Number(tenantId) || 1;
  const gapFromMs = fromMs + (toMs - fromMs) * 0.35;
  const gapToMs = fromMs + (toMs - fromMs) * 0.4;
  for (let tMs = start; tMs < toMs; tMs += bucketMs) {
    const at = (tMs - fromMs) / (toMs - fromMs);
    const inGap = tMs >= gapFromMs && tMs < gapToMs;
    const hill = Math.exp(-(((at - 0.75) / 0.12) ** 2));
    const wave = 1 + Math.sin(at * 40 + seed) * 0.2;
    const runs = Math.round(bucketMs / 800);
    const value = <T>(known: T): T | null => (inGap ? null : known);
    points.push({
      tMs,
      lagMaxMs: value(400 * wave + hill * 320_000),
      ready: value(Math.round(2 * wave + hill * 90)),
      delayed: value(3),
      running: value(1 + Math.round(hill)),
      stale: value(0),
      arrivals: value(Math.round((bucketMs / 900) * wave)),
      attempts: value(Math.round((bucketMs / 900) * (1 - hill * 0.4))),
      finished: inGap ? 0 : runs,
      failed: inGap ? 0 : Math.round(runs * 0.02),
      waitP95Ms: value(600 + hill * 290_000),
      runP50Ms: value(320 * wave),
      runP95Ms: value(900 * wave + hill * 2_000),
      runP99Ms: value(1_800 * wave + hill * 4_000),
      stagesP95Ms: inGap
        ? {}
        : { load: 10, inspect: 30 * wave, dkim: 16, deliver: 780 * wave + hill * 1_900 },
    });
  }
  return {
    bucketMs,
    points,
    gaps: [{ fromMs: gapFromMs, toMs: gapToMs, reason: 'the database did not answer' }],
    marks: [
      {
        atMs: fromMs + (toMs - fromMs) * 0.7,
        kind: 'alert',
        severity: 'warning',
        text: 'Oldest ready job: firing',
      },
      {
        atMs: fromMs + (toMs - fromMs) * 0.9,
        kind: 'alert',
        severity: null,
        text: 'Oldest ready job: normal',
      },
    ],
  };
}
