// What one poll of each source costs its database at 10 thousand, 1 million and, for some, 5 million jobs of 1,000 tenants,
// against the query that the system's dashboard runs or an engineer would write.
//
//   npm run bench:sources                    all of them (about ten minutes)
//   npm run bench:sources -- postal river    some of them
//
// Rows are what both databases count alike: rows and index entries that scans return, before any filter (MariaDB's handler
// reads). Reads are rows on MariaDB and buffers on PostgreSQL (pg_stat_statements, the source's own account). Growth is told
// in reads, "fewer" in rows: one page holds a hundred of the small rows here, so a scan of all of them reads few buffers
// and touches every row. Both run in turn on one server. The last line is one line of JSON: the least ratio of all, and whether
// every target is reached. Ends with 1 when one is missed.
import { databaseSystems } from '../harness/systems/all.ts';
import type { WatchedSystem } from '../harness/systems/system.ts';

const TENANTS = 1_000;
const SMALL = 10_000;
const LARGE = 1_000_000;
const HUGE = 5_000_000;
const ROUNDS = 25;
const PEER_ROUNDS = 3;
const targets = { growth: 1.3, p95Ms: 50, fewerThanPeer: 20 };
const never = new AbortController().signal;

interface Measured {
  rows: number;
  reads: number;
  /** By the source's own count. */
  rowsRead: number;
  medianMs: number;
  p95Ms: number;
  peerReads: number;
  peerRows: number;
  peerMs: number;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in databaseSystems));
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(', ')}. There are: ${Object.keys(databaseSystems).join(', ')}.`);
  process.exit(2);
}

const verdicts: { name: string; ratio: number; ours: number; peer: number; holds: boolean }[] = [];
for (const [key, { create, isHuge = false }] of Object.entries(databaseSystems)) {
  if (wanted.length > 0 && !wanted.includes(key)) continue;
  await using system = await create();
  const measured: Measured[] = [];
  for (const rows of isHuge ? [SMALL, LARGE, HUGE] : [SMALL, LARGE]) {
    process.stderr.write(`${system.name}: filling ${rows.toLocaleString('en')} jobs of ${TENANTS} tenants\n`);
    await system.clear();
    await system.fill(rows, TENANTS);
    measured.push(await measure(system, rows));
  }
  verdicts.push(judge(system, measured));
}
const worst = verdicts.toSorted((a, b) => a.ratio - b.ratio)[0];
const holds = verdicts.every((verdict) => verdict.holds);
if (!holds) process.exitCode = 1;
console.log(
  JSON.stringify({
    bench: 'sources',
    ours: worst?.ours,
    peer: worst?.peer,
    ratio: Number(worst?.ratio.toFixed(1)),
    unit: `rows read by a poll at ${LARGE.toLocaleString('en')} jobs (${worst?.name})`,
    holds,
  }),
);

async function measure(system: WatchedSystem, rows: number): Promise<Measured> {
  await using source = system.source();
  await source.tenants(never);
  // The first ones warm the buffers, ours and the peer's alike.
  await source.snapshot(never);
  await source.snapshot(never);
  await system.peer();
  const looking = await readsOf(system, () => Promise.resolve());
  const times: number[] = [];
  const reads: number[] = [];
  const peerTimes: number[] = [];
  const peerReads: number[] = [];
  const peerRows: number[] = [];
  let rowsRead = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const beganMs = performance.now();
    const poll = async () => {
      const { cost } = await source.snapshot(never);
      times.push(performance.now() - beganMs);
      if (cost.rowsRead === null) throw new Error(`${system.name} does not count the rows that it reads`);
      rowsRead = Math.max(rowsRead, cost.rowsRead);
    };
    reads.push((await readsOf(system, poll)) - looking);
    if (round >= PEER_ROUNDS) continue;
    const peerBeganMs = performance.now();
    const cost = await system.peer();
    peerTimes.push(performance.now() - peerBeganMs);
    peerReads.push(cost.reads);
    peerRows.push(cost.rows);
  }
  return {
    rows,
    reads: Math.max(...reads),
    medianMs: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
    rowsRead,
    peerReads: quantile(peerReads, 0.5),
    peerRows: quantile(peerRows, 0.5),
    peerMs: quantile(peerTimes, 0.5),
  };
}

async function readsOf(system: WatchedSystem, work: () => Promise<unknown>): Promise<number> {
  const before = await system.reads();
  await work();
  return (await system.reads()) - before;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

function judge(system: WatchedSystem, measured: readonly Measured[]): (typeof verdicts)[number] {
  const number = (value: number, digits = 0) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  console.log(`\n${system.name}, ${TENANTS} tenants; peer: ${system.peerQuery}`);
  console.log(
    '      jobs     reads  a tenant  rows read   median ms   p95 ms  peer reads  peer rows   peer ms  fewer',
  );
  for (const { rows, reads, rowsRead, medianMs, p95Ms, peerReads, peerRows, peerMs } of measured) {
    console.log(
      [
        number(rows).padStart(10),
        number(reads).padStart(9),
        number(reads / TENANTS, 1).padStart(9),
        number(rowsRead).padStart(10),
        number(medianMs, 1).padStart(11),
        number(p95Ms, 1).padStart(8),
        number(peerReads).padStart(11),
        number(peerRows).padStart(10),
        number(peerMs, 1).padStart(9),
        `${number(peerRows / rowsRead, 1)} ×`.padStart(8),
      ].join(' '),
    );
  }
  const large = measured.find(({ rows }) => rows === LARGE);
  if (!large) throw new Error('nothing was measured');
  const reads = measured.map((each) => each.reads);
  const growth = Math.max(...reads) / Math.min(...reads);
  const p95Ms = Math.max(...measured.map((each) => each.p95Ms));
  const ratio = large.peerRows / large.rowsRead;
  const parts = [
    [growth <= targets.growth, `reads differ ${number(growth, 2)} times (target: ${targets.growth})`],
    [p95Ms < targets.p95Ms, `p95 of a poll ${number(p95Ms, 1)} ms (target: under ${targets.p95Ms})`],
    [
      ratio >= targets.fewerThanPeer,
      `${number(ratio, 1)} times fewer rows (target: ${targets.fewerThanPeer})`,
    ],
  ] as const;
  for (const [isReached, what] of parts) console.log(`${isReached ? 'holds ' : 'MISSED'}  ${what}`);
  return {
    name: system.name,
    ratio,
    ours: large.rowsRead,
    peer: large.peerRows,
    holds: parts.every(([isReached]) => isReached),
  };
}
