// The history on real files, through its worker thread, against a brute-force reading of everything it was given.
import { mkdtemp, readdir, rm, stat, truncate, writeFile, open as openFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Alert, AlertEvent } from '../../src/core/alert.ts';
import type { TimingRecord } from '../../src/core/timing.ts';
import type { HeadwayError } from '../../src/contract/errors.ts';
import type { HistoryPoint } from '../../src/contract/history.ts';
import type { SampleRow } from '../../src/main/history/history-store.ts';
import type { SetAside } from '../../src/main/history/schema.ts';
import { SqliteHistory } from '../../src/main/history/sqlite-history.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Midnight UTC, a little into the past of nothing in particular. */
const START = Date.UTC(2026, 5, 1);

let folder: string;
let file: string;
let nowMs: number;
let asides: SetAside[];
let problems: HeadwayError[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headway-history-'));
  file = join(folder, 'data', 'headway.db');
  nowMs = START;
  asides = [];
  problems = [];
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  expect(problems.splice(0)).toEqual([]);
});

const openHistory = (options: { budgetBytes?: number } = {}) =>
  SqliteHistory.open({
    file,
    budgetBytes: options.budgetBytes ?? 2 ** 30,
    now: () => nowMs,
    onSetAside: (aside) => asides.push(aside),
    onProblem: (problem) => problems.push(problem),
    // Nothing on its own: the tests say when.
    writeEveryMs: DAY,
  });

const row = (tenantId: string, values: Partial<SampleRow> = {}): SampleRow => ({
  tenantId,
  lagMs: 0,
  ready: 0,
  delayed: 0,
  running: 0,
  stale: 0,
  arrivals: 0,
  attempts: 0,
  ...values,
});
const record = (tenantId: string, totalMs: number, stages: Record<string, number> = {}): TimingRecord => ({
  tenantId,
  jobId: null,
  kind: null,
  startedAtMs: null,
  totalMs,
  stages,
  status: totalMs % 7 === 0 ? 'error' : 'success',
  error: null,
  sizeBytes: null,
});
const event = (seq: number, atMs: number, values: Partial<AlertEvent> = {}): AlertEvent => ({
  seq,
  atMs,
  alertId: 'c/lag/t',
  ruleId: 'lag',
  connectionId: 'c',
  scope: { kind: 'tenant', id: 't', name: 'T' },
  from: 'pending',
  to: 'firing',
  severity: 'critical',
  value: 300_000,
  summary: 'T is late',
  ...values,
});
/** A repeatable source of numbers from 0 to 1 (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Given {
  samples: { atMs: number; row: SampleRow }[];
  records: { atMs: number; record: TimingRecord }[];
}
/** Samples every `stepMs` and attempts at random, for tenant "t" among others, with some values unknown. */
async function feed(history: SqliteHistory, fromMs: number, toMs: number, stepMs: number): Promise<Given> {
  const random = numbers(fromMs);
  const given: Given = { samples: [], records: [] };
  for (let atMs = fromMs, n = 0; atMs < toMs; atMs += stepMs, n++) {
    const t = row('t', {
      lagMs: random() < 0.05 ? null : Math.round(random() ** 4 * HOUR),
      ready: Math.round(random() * 50),
      running: Math.round(random() * 3),
      arrivals: random() < 0.05 ? null : Math.round(random() * 9),
      attempts: Math.round(random() * 9),
    });
    given.samples.push({ atMs, row: t });
    history.addSamples('c', atMs, [row('other', { ready: n }), t]);
    const records = Array.from({ length: Math.round(random() * 3) }, () =>
      record('t', Math.round(1 + random() ** 3 * 20_000), { load: random() * 10, wait: random() * 1000 }),
    );
    given.records.push(...records.map((r) => ({ atMs, record: r })));
    history.addTimings('c', atMs, records);
    if (n % 20_000 === 0) await history.flush();
  }
  await history.flush();
  return given;
}

/** The value of rank floor(q × (n − 1)), as the sketches define a quantile. */
function quantile(values: number[], q: number): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(q * (sorted.length - 1))] ?? null;
}
const known = (values: (number | null)[]) => values.filter((value) => value !== null);
const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);

/** Checks every bucket of an answer against the definition, over everything that was given. */
function expectAsGiven(points: HistoryPoint[], bucketMs: number, given: Given): void {
  for (const point of points) {
    const inBucket = <T extends { atMs: number }>(list: T[]) =>
      list.filter(({ atMs }) => atMs >= point.tMs && atMs < point.tMs + bucketMs);
    const rows = inBucket(given.samples).map((sample) => sample.row);
    const records = inBucket(given.records).map((r) => r.record);
    const lags = known(rows.map((r) => r.lagMs));
    const arrivals = known(rows.map((r) => r.arrivals));
    expect(point).toMatchObject({
      lagMaxMs: lags.length > 0 ? Math.max(...lags) : null,
      ready: rows.at(-1)?.ready ?? null,
      running: rows.at(-1)?.running ?? null,
      arrivals: arrivals.length > 0 ? sum(arrivals) : null,
      attempts: rows.length > 0 ? sum(known(rows.map((r) => r.attempts))) : null,
      finished: records.length,
      failed: records.filter((r) => r.status === 'error').length,
    });
    const close = (actual: number | null | undefined, values: number[], q: number) => {
      const expected = quantile(values, q);
      if (expected === null) expect(actual ?? null).toBeNull();
      else expect(Math.abs((actual ?? NaN) - expected)).toBeLessThanOrEqual(0.0101 * expected + 1e-3);
    };
    const runs = records.map((r) => r.totalMs);
    close(point.runP50Ms, runs, 0.5);
    close(point.runP95Ms, runs, 0.95);
    close(point.runP99Ms, runs, 0.99);
    close(
      point.waitP95Ms,
      records.map((r) => r.stages['wait'] ?? NaN),
      0.95,
    );
    close(
      point.stagesP95Ms['load'],
      records.map((r) => r.stages['load'] ?? NaN),
      0.95,
    );
    expect(Object.keys(point.stagesP95Ms)).not.toContain('wait');
  }
}
const query = (history: SqliteHistory, fromMs: number, toMs: number, maxPoints = 300) =>
  history.query({ connectionId: 'c', tenantId: 't', fromMs, toMs, maxPoints });

describe('SqliteHistory', () => {
  it('answers from raw samples as they were given, also before they are on disk', async () => {
    await using history = await openHistory();
    const given = await feed(history, START, START + 20 * MINUTE, SECOND);
    const lastMs = START + 20 * MINUTE;
    const late = row('t', { lagMs: 5, ready: 7 });
    history.addSamples('c', lastMs, [late]);
    given.samples.push({ atMs: lastMs, row: late });
    for (const maxPoints of [10, 100, 700]) {
      const answer = await query(history, START + 90_500, lastMs + 1, maxPoints);
      expect(answer.points.length).toBeLessThanOrEqual(maxPoints);
      expect(answer.points[0]?.tMs).toBeLessThanOrEqual(START + 90_500);
      expectAsGiven(answer.points, answer.bucketMs, given);
      expect(answer.points.at(-1)?.ready).toBe(7);
    }
  });

  it('gives the same numbers from rolled-up minutes and quarters as from raw samples', async () => {
    await using history = await openHistory();
    const given = await feed(history, START - 3 * HOUR, START + 30 * HOUR, 20 * SECOND);
    const before = await query(history, START, START + DAY, 300);
    expect(before.bucketMs).toBe(5 * MINUTE);
    nowMs = START + 30 * HOUR;
    await history.maintain();
    const after = await query(history, START, START + DAY, 300);
    expect(after).toEqual(before);
    expectAsGiven(after.points, after.bucketMs, given);
    const wide = await query(history, START - 3 * HOUR, START + 30 * HOUR, 70);
    expect(wide.bucketMs).toBe(30 * MINUTE);
    expectAsGiven(wide.points, wide.bucketMs, given);
    // Raw samples of the first day are gone: nothing finer than a minute is drawn of it.
    const old = await query(history, START, START + 5 * MINUTE, 300);
    expect(old.bucketMs).toBe(MINUTE);
    expectAsGiven(old.points, old.bucketMs, given);
  });

  it('rolls an hour up again when a log line of it arrives late, and counts what is too late', async () => {
    await using history = await openHistory();
    const given = await feed(history, START, START + 2 * HOUR, 20 * SECOND);
    nowMs = START + 3 * HOUR;
    await history.maintain();
    const atMs = START + 30 * MINUTE;
    history.addTimings('c', atMs, [record('t', 777_777)]);
    given.records.push({ atMs, record: record('t', 777_777, { load: NaN, wait: NaN }) });
    await history.maintain();
    const { points } = await query(history, START, START + 2 * HOUR, 120);
    const point = points.find(({ tMs }) => tMs === atMs);
    expect(point?.finished).toBe(
      given.records.filter((r) => Math.floor(r.atMs / MINUTE) * MINUTE === atMs).length,
    );
    nowMs = START + 12 * HOUR;
    await history.maintain();
    history.addTimings('c', atMs, [record('t', 1)]);
    await history.flush();
    expect(history.dropped).toBe(1);
    expect((await query(history, START, START + 2 * HOUR, 120)).points).toEqual(points);
  });

  it('lets go of each resolution in its time', async () => {
    await using history = await openHistory();
    await feed(history, START, START + 2 * HOUR, 20 * SECOND);
    const finest = async (laterMs: number) => {
      nowMs = START + laterMs;
      await history.maintain();
      const { bucketMs, points } = await query(history, START, START + HOUR, 200);
      return { bucketMs, measured: points.filter((point) => point.ready !== null).length };
    };
    expect(await finest(5 * HOUR)).toEqual({ bucketMs: 30 * SECOND, measured: 120 });
    expect(await finest(9 * HOUR)).toEqual({ bucketMs: MINUTE, measured: 60 });
    expect(await finest(13 * DAY)).toEqual({ bucketMs: MINUTE, measured: 60 });
    expect(await finest(15 * DAY)).toEqual({ bucketMs: 15 * MINUTE, measured: 4 });
    expect(await finest(402 * DAY)).toMatchObject({ measured: 0 });
  });

  it('keeps within its budget, oldest first out', async () => {
    const budgetBytes = 600_000;
    await using history = await openHistory({ budgetBytes });
    for (let hour = 0; hour < 5; hour++) {
      await feed(history, START + hour * HOUR, START + (hour + 1) * HOUR, SECOND);
      nowMs = START + (hour + 1) * HOUR;
      await history.maintain();
    }
    const { points } = await query(history, START, nowMs, 300);
    expect(points[0]?.lagMaxMs).toBeNull();
    expect(points.at(-1)?.lagMaxMs).not.toBeNull();
    await history[Symbol.asyncDispose]();
    expect((await stat(file)).size).toBeLessThan(budgetBytes * 1.5);
  });

  it('goes on after a restart in the middle, with a gap for the time in between', async () => {
    const given: Given = { samples: [], records: [] };
    const add = (more: Given) => {
      given.samples.push(...more.samples);
      given.records.push(...more.records);
    };
    {
      await using history = await openHistory();
      add(await feed(history, START, START + 90 * MINUTE + 30 * SECOND, 10 * SECOND));
      history.openGap('c', START + 80 * MINUTE, 'unreachable');
      nowMs = START + 90 * MINUTE + 30 * SECOND;
    }
    expect(await readdir(join(folder, 'data'))).toEqual(['headway.db']);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    nowMs = START + 90 * MINUTE + 50 * SECOND;
    await using history = await openHistory();
    // In the same minute as the last samples before.
    add(await feed(history, nowMs, START + 4 * HOUR, 10 * SECOND));
    nowMs = START + 5 * HOUR;
    await history.maintain();
    const answer = await query(history, START, START + 4 * HOUR, 300);
    expectAsGiven(answer.points, answer.bucketMs, given);
    expect(answer.gaps).toEqual([
      { fromMs: START + 80 * MINUTE, toMs: START + 90 * MINUTE + 30 * SECOND, reason: 'unreachable' },
      {
        fromMs: START + 90 * MINUTE + 30 * SECOND,
        toMs: START + 90 * MINUTE + 50 * SECOND,
        reason: 'Headway was not running',
      },
    ]);
  });

  it('opens and closes gaps, one open at a time, and shows those of the range', async () => {
    await using history = await openHistory();
    history.openGap('c', START, 'unreachable');
    history.openGap('c', START + 10, 'authentication failed');
    history.openGap('d', START + 10, 'of another connection');
    history.closeGap('c', START + 30);
    history.openGap('c', START + 50, 'asleep');
    expect((await query(history, START, START + 100)).gaps).toEqual([
      { fromMs: START, toMs: START + 10, reason: 'unreachable' },
      { fromMs: START + 10, toMs: START + 30, reason: 'authentication failed' },
      { fromMs: START + 50, toMs: null, reason: 'asleep' },
    ]);
    expect((await query(history, START + 30, START + 45)).gaps).toEqual([]);
  });

  it('marks where alerts of the tenant and of its connection fired and ended', async () => {
    await using history = await openHistory();
    const connection = { kind: 'connection' as const, id: 'c', name: 'C' };
    history.addAlertEvents([
      event(1, START + 1, { from: 'normal', to: 'pending' }),
      event(2, START + 2),
      event(3, START + 3, { scope: { kind: 'tenant', id: 'u', name: 'U' } }),
      event(4, START + 4, { scope: connection, summary: 'C is unreachable' }),
      event(5, START + 5, { connectionId: 'd' }),
      event(6, START + 6, { from: 'firing', to: 'recovering', severity: 'warning' }),
    ]);
    expect((await query(history, START, START + MINUTE)).marks).toEqual([
      { atMs: START + 2, kind: 'alert', severity: 'critical', text: 'T is late' },
      { atMs: START + 4, kind: 'alert', severity: 'critical', text: 'C is unreachable' },
      { atMs: START + 6, kind: 'alert', severity: 'warning', text: 'T is late' },
    ]);
  });

  it('gives saved alerts and the newest events back after a restart', async () => {
    const alert: Alert = {
      id: 'c/lag/t',
      ruleId: 'lag',
      ruleTitle: 'Lag',
      connectionId: 'c',
      connectionName: 'C',
      scope: { kind: 'tenant', id: 't', name: 'T' },
      state: 'firing',
      severity: 'critical',
      unit: 'ms',
      value: 300_000,
      threshold: 180_000,
      sinceMs: START,
      firedAtMs: START,
      acknowledged: null,
      cause: null,
      error: null,
    };
    const events = Array.from({ length: 700 }, (_, seq) => event(seq, START + seq));
    {
      await using history = await openHistory();
      history.saveAlerts([alert, { ...alert, id: 'gone' }]);
      history.saveAlerts([{ ...alert, id: 'gone', state: 'normal' }]);
      history.addAlertEvents(events);
    }
    await using history = await openHistory();
    expect(await history.loadAlerts()).toEqual({ alerts: [alert], events: events.slice(-500) });
  });

  it.each([
    ['is no database at all', () => writeFile(file, 'x'.repeat(10_000))],
    ['is cut off', () => truncate(file, 8192 + 100)],
    [
      'has damaged pages',
      async () => {
        await using handle = await openFile(file, 'r+');
        const intact = 3 * 4096;
        await handle.write(Buffer.alloc((await handle.stat()).size - intact, 0xff), 0, undefined, intact);
      },
    ],
  ])('keeps a file aside that %s, and begins anew', async (_what, damage) => {
    {
      await using history = await openHistory();
      await feed(history, START, START + HOUR, SECOND);
    }
    await damage();
    const { size } = await stat(file);
    await using history = await openHistory();
    // Damage may show only when the data are read.
    await query(history, START, START + HOUR).catch(() => undefined);
    await history.maintain().catch(() => undefined);
    expect(asides).toHaveLength(1);
    expect(asides[0]?.reason).toContain('damaged');
    expect((await stat(asides[0]?.path ?? '')).size).toBe(size);
    const given = await feed(history, START, START + MINUTE, SECOND);
    const answer = await query(history, START, START + MINUTE);
    expectAsGiven(answer.points, answer.bucketMs, given);
  });

  it('draws a chunk that cannot be read as not measured', async () => {
    {
      await using history = await openHistory();
      await feed(history, START, START + 3 * MINUTE, SECOND);
    }
    const db = new DatabaseSync(file);
    db.exec(
      `UPDATE raw SET samples = x'ffffff', attempts = x'07' WHERE slot IN (SELECT slot FROM raw LIMIT 2)`,
    );
    db.close();
    await using history = await openHistory();
    nowMs = START + 2 * HOUR;
    await history.maintain();
    const { bucketMs, points } = await query(history, START, START + 10 * MINUTE, 10);
    expect(bucketMs).toBe(MINUTE);
    expect(points.slice(0, 4).map((point) => point.ready !== null)).toEqual([false, true, true, false]);
  });

  it('keeps a file of a newer Headway aside, untouched', async () => {
    {
      await using _history = await openHistory();
    }
    {
      const db = new DatabaseSync(file);
      db.exec('CREATE TABLE newer (a) STRICT; PRAGMA user_version = 99'.replace('(a)', '(a TEXT)'));
      db.close();
    }
    await using history = await openHistory();
    expect(asides[0]?.reason).toContain('newer Headway');
    const aside = new DatabaseSync(asides[0]?.path ?? '', { readOnly: true });
    expect(aside.prepare('PRAGMA user_version').get()).toMatchObject({ user_version: 99 });
    aside.close();
    expect((await query(history, START, START + MINUTE)).gaps).toEqual([]);
  });

  it('refuses a file that another Headway has open, and a folder it cannot make', async () => {
    await using history = await openHistory();
    await expect(openHistory()).rejects.toMatchObject({
      code: 'storage-failed',
      message: expect.stringContaining('Another Headway has it open') as string,
    });
    history.addSamples('c', START, [row('t', { ready: 3 })]);
    expect((await query(history, START, START + MINUTE)).points[0]?.ready).toBe(3);
    await writeFile(join(folder, 'in-the-way'), '');
    file = join(folder, 'in-the-way', 'headway.db');
    await expect(openHistory()).rejects.toMatchObject({ code: 'storage-failed' });
  });

  it('answers a request it cannot take with an error and goes on', async () => {
    await using history = await openHistory();
    history.addSamples('c', START, [row('t', { lagMs: NaN })]);
    await history.flush();
    expect(problems.splice(0)).toHaveLength(1);
    history.addSamples('c', START, [row('t', { ready: 3 })]);
    expect((await query(history, START, START + MINUTE)).points[0]?.ready).toBe(3);
  });

  it('starts its worker again once when it ends, with a gap, and says when it is gone for good', async () => {
    const workers: Worker[] = [];
    const remember = (worker: Worker) => workers.push(worker);
    process.on('worker', remember);
    await using history = await openHistory();
    const given = await feed(history, START, START + MINUTE, SECOND);
    nowMs = START + MINUTE;
    await history.flush();
    nowMs = START + 2 * MINUTE;
    const waiting = query(history, START, START + MINUTE);
    await workers[0]?.terminate();
    await expect(waiting).rejects.toMatchObject({ code: 'storage-failed' });
    const answer = await query(history, START, START + 2 * MINUTE);
    expectAsGiven(answer.points, answer.bucketMs, given);
    expect(answer.gaps).toEqual([
      { fromMs: START + MINUTE, toMs: START + 2 * MINUTE, reason: 'The history was interrupted' },
    ]);
    await workers[1]?.terminate();
    await expect(query(history, START, START + MINUTE)).rejects.toMatchObject({ code: 'storage-failed' });
    history.addSamples('c', START, [row('t')]);
    expect(history.dropped).toBe(1);
    expect(problems.splice(0).map(({ code }) => code)).toEqual(Array(3).fill('storage-failed'));
    expect(workers).toHaveLength(2);
    process.off('worker', remember);
  });

  it('has equal buckets without holes, whatever the range', async () => {
    await using history = await openHistory();
    await feed(history, START, START + 5 * MINUTE, SECOND);
    const random = numbers(7);
    for (let n = 0; n < 200; n++) {
      const fromMs = START + Math.round((random() - 0.5) * 10 ** (5 + 5 * random()));
      const toMs = fromMs + Math.round(10 ** (12 * random()));
      const maxPoints = 10 + Math.round(random() * 500);
      const { bucketMs, points } = await query(history, fromMs, toMs, maxPoints);
      expect(points.length).toBeLessThanOrEqual(maxPoints);
      expect(points[0]?.tMs).toBeLessThanOrEqual(fromMs);
      expect((points.at(-1)?.tMs ?? 0) + bucketMs).toBeGreaterThanOrEqual(toMs);
      expect(points.every((point, i) => point.tMs === (points[0]?.tMs ?? 0) + i * bucketMs)).toBe(true);
    }
  });
});
