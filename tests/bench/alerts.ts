// What judging the rules costs on the main loop: `node tests/bench/alerts.ts [tenants]`, every metric of each tenant
// once a second, first with all in order, then with a tenth of them late.
import { performance } from 'node:perf_hooks';
import { shippedRules } from '../../src/core/alert-rules.ts';
import { AlertService, type Observation } from '../../src/main/alerts/alert-service.ts';

const tenants = Number(process.argv[2] ?? 1000);
const rules = shippedRules();
const service = new AlertService({ saveAlerts() {}, addAlertEvents() {} }, { alerts: [], events: [] });

function observations(late: (tenant: number) => boolean): Observation[] {
  return Array.from({ length: tenants }, (_, tenant) => {
    const scope = { kind: 'tenant' as const, id: `server-${tenant}`, name: `Server ${tenant}` };
    return rules.map(({ id, direction }) => {
      const calm = direction === 'above' ? 0 : 1;
      return { metric: id, scope, value: id === 'lag' && late(tenant) ? 400_000 : calm, cause: null };
    });
  }).flat();
}

for (const [what, late] of [
  ['all in order', () => false],
  ['a tenth late', (tenant: number) => tenant % 10 === 0],
] as const) {
  const times: number[] = [];
  for (let second = 0; second < 120; second++) {
    const observed = observations(late);
    const began = performance.now();
    service.evaluate({ id: 'c', name: 'C' }, rules, observed, second * 1000, false);
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  console.log(
    `${tenants} tenants × ${rules.length} rules, ${what}: median ${times[60]?.toFixed(2)} ms, p95 ${times[113]?.toFixed(2)} ms, slowest ${times[119]?.toFixed(2)} ms`,
  );
}
