// What the timing analysis costs: `node tests/bench/timing-analysis.ts [tenants] [hours]`. An attempt of every tenth
// tenant each second, then ranges up to the whole, the newest hour not yet rolled up.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/core/seeded-random.ts';
import { HistoryFile } from '../../src/main/history/history-file.ts';

const tenants = Number(process.argv[2] ?? 1000);
const hours = Number(process.argv[3] ?? 25);
const HOUR = 3_600_000;
/** The range ends just before an hour does: the worst moment, a whole hour is still raw. */
const START = Date.UTC(2026, 5, 1) - 60_000;
const endMs = START + hours * HOUR;
const random = seededRandom(1);
const folder = mkdtempSync(join(tmpdir(), 'headway-bench-'));
const file = join(folder, 'headway.db');
const spread = (ms: number): number => ms * Math.exp(2 * (random() - 0.5));
const recordsAt = (second: number) =>
  Array.from({ length: Math.ceil(tenants / 10) }, (_, i) => {
    const tenant = (i * 10 + second) % tenants;
    const deliver = tenant % 50 === 12 && second > (hours * 3600) / 2 ? 2_400 : 180;
    return {
      tenantId: `server-${tenant}`,
      jobId: null,
      kind: null,
      startedAtMs: null,
      totalMs: spread(deliver + 60),
      stages: {
        load: spread(3),
        inspect: spread(30),
        dkim: spread(2),
        deliver: spread(deliver),
        wait: spread(900),
      },
      status: 'success' as const,
      error: null,
      sizeBytes: null,
    };
  });

try {
  using history = HistoryFile.open({ file, budgetBytes: 2 ** 40, nowMs: START, pause: '', endGaps: true });
  for (let second = 0; second < hours * 3600; second++) {
    const atMs = START + second * 1000;
    history.keep([{ kind: 'timings', connectionId: 'c', atMs, records: recordsAt(second) }]);
    if (second % 60 === 0) while (history.maintain(atMs));
  }
  console.log(`${tenants} tenants, ${hours} h, ${Math.ceil(tenants / 10)} attempts/s of 6 stages`);
  console.log(`file: ${(statSync(file).size / 2 ** 20).toFixed(0)} MB`);
  for (const [name, length, against] of [
    ['15 min', 0.25, false],
    ['1 h', 1, false],
    ['6 h', 6, false],
    ['24 h', 24, false],
    ['24 h against itself', 24, true],
  ] as const) {
    const range = { fromMs: endMs - length * HOUR, toMs: endMs };
    const times = Array.from({ length: 3 }, () => {
      const began = process.cpuUsage();
      const { buckets, movers } = history.timingAnalysis({
        connectionId: 'c',
        ...range,
        tenantIds: [],
        against: against ? range : null,
      });
      if (buckets.length > 201) throw new Error('too many buckets');
      if (length === 24 && movers[0]?.stage !== 'deliver') throw new Error('the change was not found');
      const { user, system } = process.cpuUsage(began);
      return (user + system) / 1000;
    }).sort((a, b) => a - b);
    console.log(
      `${name}: processor time: median ${times[1]?.toFixed(0)} ms, slowest ${times[2]?.toFixed(0)} ms`,
    );
  }
  console.log(`memory: ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MB`);
} finally {
  rmSync(folder, { recursive: true });
}
