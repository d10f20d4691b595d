// What the history costs: `node tests/bench/history.ts [tenants] [minutes]`. 1 Hz samples of every tenant, an attempt
// of every tenth tenant each second, then a day of one tenant in 300 points.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { SampleRow } from '../../src/main/history/history-store.ts';
import { HistoryFile } from '../../src/main/history/history-file.ts';
import { SqliteHistory } from '../../src/main/history/sqlite-history.ts';

const tenants = Number(process.argv[2] ?? 1000);
const minutes = Number(process.argv[3] ?? 24 * 60);
const START = Date.UTC(2026, 5, 1);
const folder = mkdtempSync(join(tmpdir(), 'headway-bench-'));
const file = join(folder, 'headway.db');
const options = { file, budgetBytes: 2 ** 40, nowMs: START, pause: '', endGaps: true };

/** Every third tenant at rest, as in a usual system; the others change each second. */
const rowsAt = (second: number): SampleRow[] =>
  Array.from({ length: tenants }, (_, t) => {
    const busy = t % 3 !== 0;
    return {
      tenantId: `server-${t}`,
      lagMs: busy ? ((second * 1000 + t * 37) % 300_000) + (second % 13) : 0,
      ready: busy ? (second * 7 + t) % 100 : 0,
      delayed: 0,
      running: busy ? (second + t) % 3 : 0,
      stale: 0,
      arrivals: busy ? (second + t) % 5 : 0,
      attempts: busy ? (second * 3 + t) % 5 : 0,
    };
  });
const recordsAt = (second: number) =>
  Array.from({ length: Math.ceil(tenants / 10) }, (_, i) => ({
    tenantId: `server-${(i * 10 + second) % tenants}`,
    jobId: null,
    kind: null,
    startedAtMs: null,
    totalMs: 50 + ((second * 31 + i * 17) % 4000),
    stages: { load: 3, inspect: 20 + (second % 50), dkim: 2, deliver: 25 + ((i * 13) % 3000), wait: 900 },
    status: 'success' as const,
    error: null,
    sizeBytes: null,
  }));
const ms = (value: number) => `${value.toFixed(2)} ms`;
const timed = <T>(work: () => T): [T, number] => {
  const began = performance.now();
  const result = work();
  return [result, performance.now() - began];
};

try {
  {
    using history = HistoryFile.open(options);
    let [keeping, writing, maintaining, longest] = [0, 0, 0, 0];
    for (let second = 0; second < minutes * 60; second++) {
      const atMs = START + second * 1000;
      const rows = rowsAt(second);
      const records = recordsAt(second);
      keeping += timed(() =>
        history.keep([
          { kind: 'samples', connectionId: 'c', atMs, rows },
          { kind: 'timings', connectionId: 'c', atMs, records },
        ]),
      )[1];
      if (second % 10 === 0) {
        writing += timed(() => history.write(atMs))[1];
        for (let more = true; more;) {
          const [again, took] = timed(() => history.maintain(atMs));
          maintaining += took;
          longest = Math.max(longest, took);
          more = again;
        }
      }
    }
    const batches = (minutes * 60 * tenants) / 1000;
    console.log(`${tenants} tenants, ${minutes} minutes at 1 Hz`);
    console.log(`keep and write: ${ms((keeping + writing) / batches)} of worker time per 1,000 samples`);
    console.log(
      `roll up and let go: ${ms(maintaining / batches)} per 1,000 samples; longest slice ${ms(longest)}`,
    );
    console.log(
      `share of one core: ${(((keeping + writing + maintaining) / (minutes * 60_000)) * 100).toFixed(1)} %`,
    );
    for (const [name, hours] of [
      ['15 min', 0.25],
      ['6 h', 6],
      ['24 h', 24],
      ['7 d', 168],
    ] as const) {
      const toMs = START + minutes * 60_000;
      const fromMs = toMs - hours * 3_600_000;
      const query = { connectionId: 'c', tenantId: 'server-10', fromMs, toMs, maxPoints: 300 };
      const times = Array.from({ length: 9 }, () => timed(() => history.query(query))[1]).sort(
        (a, b) => a - b,
      );
      console.log(
        `query ${name} of one tenant, 300 points: median ${ms(times[4] ?? 0)}, slowest ${ms(times[8] ?? 0)}`,
      );
    }
  }
  console.log(`file: ${(statSync(file).size / 2 ** 20).toFixed(0)} MB`);

  await using history = await SqliteHistory.open({
    file: `${file}.2`,
    budgetBytes: 2 ** 40,
    now: () => Date.now(),
    onSetAside: console.error,
    onProblem: console.error,
  });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const began = process.cpuUsage();
  const posts: number[] = [];
  for (let second = 0; second < 60; second++) {
    history.addSamples('c', START + second * 1000, rowsAt(second));
    const [flushed, took] = timed(() => history.flush());
    posts.push(took);
    await flushed;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  delay.disable();
  posts.sort((a, b) => a - b);
  const { user, system } = process.cpuUsage(began);
  console.log(
    `handing ${tenants} samples over: median ${ms(posts[30] ?? 0)}, slowest ${ms(posts[59] ?? 0)} of the main loop`,
  );
  console.log(
    `main loop delay p99 ${ms(delay.percentile(99) / 1e6)}, whole process ${ms((user + system) / 60_000)} CPU a batch`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
