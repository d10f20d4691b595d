// A search of the stored log lines against `grep -c` over the same files.
//
//   npm run bench:search -- --megabytes 2048
//
// The lines are a worker's: two thirds [TIMING] lines of 41 servers, about 235 bytes a line, and every millionth or so a rare phrase. They
// go through the store as they would live. Three filters: the rare phrase; one server's slow messages, which are in every block; a word
// that is nowhere. Ours counts them all, brings the newest thousand and a histogram; grep only counts (with the C locale, its fastest). In
// turn, after one round that warms the page cache for both; medians of wall time. Both must count alike. The last line is JSON; `ratio` is of
// the filter that does worst.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LogLine } from '../../src/contract/logs.ts';
import { seededRandom } from '../../src/core/seeded-random.ts';
import { DiskLogStore } from '../../src/main/log-store/disk-log-store.ts';
import { tempDir } from '../harness/temp.ts';

const ROUNDS = 5;
const SERVERS = 41;
const BATCH_LINES = 2_000;
const PHRASE = 'connection reset by peer';
const targets = { timesGrep: 3, firstMs: 300 };
const filters = [
  { filter: `"${PHRASE}"`, pattern: PHRASE },
  { filter: 'server_id=3 total_ms>1000 level>=info', pattern: '"server_id":3,.*"total_ms":[0-9]{4}' },
  { filter: 'xylophone', pattern: 'xylophone' },
];

const { values } = parseArgs({ options: { megabytes: { type: 'string', default: '2048' } } });
const megabytes = Number(values.megabytes);
if (!Number.isInteger(megabytes) || megabytes < 16) {
  console.error(`--megabytes takes a whole number from 16 on, not ${values.megabytes}.`);
  process.exit(2);
}

await using dir = await tempDir('search');
await using store = new DiskLogStore({
  folder: dir.path,
  budgetBytes: megabytes * 2 ** 20 * 2,
  keepMs: Infinity,
  now: Date.now,
  onProblem: (problem) => {
    if (problem !== null) throw new Error(problem);
  },
});
await fill();
const folder = join(dir.path, 'bench');
const files = (await readdir(folder))
  .filter((name) => name.endsWith('.log'))
  .map((name) => join(folder, name));

interface Run {
  ms: number;
  /** Until the first lines came; null when none did. */
  firstMs: number | null;
  found: number;
}
let worst = { ratio: Infinity, ours: NaN, peer: NaN };
let slowestFirst = 0;
for (const { filter, pattern } of filters) {
  const [ours, peers]: [Run[], Run[]] = [[], []];
  for (let round = 0; round <= ROUNDS; round++) {
    const [one, two] = [await search(filter), await grep(pattern)];
    if (one.found !== two.found) throw new Error(`${filter}: ours finds ${one.found}, grep ${two.found}`);
    if (round === 0) continue;
    ours.push(one);
    peers.push(two);
  }
  const result = { ours: median(ours.map(({ ms }) => ms)), peer: median(peers.map(({ ms }) => ms)) };
  const ratio = (targets.timesGrep * result.peer) / result.ours;
  const first = ours[0]?.firstMs === null ? null : median(ours.map(({ firstMs }) => firstMs ?? NaN));
  slowestFirst = Math.max(slowestFirst, first ?? 0);
  if (ratio < worst.ratio) worst = { ratio, ...result };
  process.stderr.write(
    `${filter}: ${ours[0]?.found} found; ours ${result.ours.toFixed(0)} ms${first === null ? '' : `, first lines after ${first.toFixed(0)} ms`}; grep -c ${result.peer.toFixed(0)} ms\n`,
  );
}
const holds = worst.ratio >= 1 && slowestFirst <= targets.firstMs;
const round = (value: number): number => Math.round(value * 100) / 100;
console.log(
  JSON.stringify({
    bench: 'search',
    ours: round(worst.ours),
    peer: round(worst.peer),
    ratio: round(worst.ratio),
    unit: 'ms',
    holds,
  }),
);
process.exitCode = holds ? 0 : 1;

async function search(filter: string): Promise<Run> {
  const began = performance.now();
  let firstMs: number | null = null;
  let found = 0;
  const all = { connectionId: 'bench', fromMs: null, toMs: null, limit: 1_000, buckets: 120 };
  await store.search(
    { ...all, filter, order: 'newest' },
    [],
    (progress) => {
      if (progress.lines.length > 0) firstMs ??= performance.now() - began;
      found = progress.found;
    },
    new AbortController().signal,
  );
  return { ms: performance.now() - began, firstMs, found };
}

async function grep(pattern: string): Promise<Run> {
  const began = performance.now();
  const child = spawn('grep', ['-chE', pattern, ...files], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, LC_ALL: 'C' },
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child, 'close');
  const found = text
    .trim()
    .split('\n')
    .reduce((sum, count) => sum + Number(count), 0);
  return { ms: performance.now() - began, firstMs: null, found };
}

async function fill(): Promise<void> {
  const began = performance.now();
  const random = seededRandom(41);
  const limit = megabytes * 2 ** 20;
  let [bytes, count] = [0, 0];
  for (let batch = 0; bytes < limit; batch++) {
    const lines: LogLine[] = [];
    for (let i = 0; i < BATCH_LINES; i++, count++) {
      const line = lineAt(count, random);
      bytes += line.text.length + 12;
      lines.push(line);
    }
    store.append('bench', lines);
    if (batch % 20 === 0) await store.flush();
  }
  await store.flush();
  const stored = await store.stored('bench');
  if (stored.lines !== count || stored.unstored > 0)
    throw new Error(`${stored.unstored} lines were not stored`);
  const seconds = (performance.now() - began) / 1_000;
  process.stderr.write(
    `stored ${count.toLocaleString('en')} lines, ${(stored.bytes / 2 ** 20).toFixed(0)} MB with their index, in ${seconds.toFixed(0)} s\n`,
  );
}

function lineAt(i: number, random: () => number): LogLine {
  const atMs = Date.UTC(2026, 0, 9) + i * 50;
  const at = new Date(atMs).toISOString();
  const text =
    i % 3 !== 0
      ? timingText(i, at, random)
      : i % 900_000 === 0
        ? `delivery failed: ${PHRASE} component=worker thread=${i % 10} pid=4711`
        : `queue claimed a message component=worker thread=${i % 10} pid=4711`;
  return {
    seq: i,
    readAtMs: atMs + 3,
    atMs: Math.floor(atMs / 1_000) * 1_000,
    source: 'deploy@worker-1 /var/log/worker.log',
    kind: 'line',
    level: 'info',
    text: `${at.slice(0, 10)} ${at.slice(11, 19)} +0000 INFO   ${text}`,
    timing: null,
  };
}

function timingText(i: number, at: string, random: () => number): string {
  const total = 5_000 * random() ** 4 + 1;
  const part = (share: number): number => Math.round(total * share * 100) / 100;
  return `[TIMING] ${JSON.stringify({
    message_id: i,
    server_id: 1 + Math.floor(random() * SERVERS),
    queue_id: i * 3,
    domain: `example${i % 50}.com`,
    start_time: at,
    message_size: 1_000 + (i % 90_000),
    load_ms: part(0.05),
    inspect_ms: part(0.1),
    dkim_ms: part(0.02),
    deliver_ms: part(0.8),
    // Never the limit itself, which the two patterns could take differently.
    total_ms: part(1) === 1_000 ? 1_001 : part(1),
    status: i % 20 ? 'success' : 'error',
    error: null,
  })}`;
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}
