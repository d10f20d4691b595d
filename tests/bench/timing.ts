// `headway timing` over a log of a million lines, against the shell pipeline that engineers use.
//
//   npm run bench:timing -- --lines 1000000
//
// The log is a worker's: two thirds [TIMING] lines of 41 servers, about 235 bytes a line. Ours gives count, mean and percentiles of all
// stages for all servers; the peer (grep | sed | jq | awk) the count and mean of one stage, all servers together. In turn, medians
// of wall time from the start of the process to its end; both must agree on count and mean. Then ten times the lines, ours alone: growth and
// memory. The last line is JSON.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { seededRandom } from '../../src/core/seeded-random.ts';
import { tempDir } from '../harness/temp.ts';

const ROUNDS = 5;
const SERVERS = 41;
const targets = { timesFaster: 5, memoryMb: 200, growth: 1.3 };
const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main', 'cli', 'main.ts');
const PEER = String.raw`grep -F '[TIMING]' "$1" | sed 's/^.*\[TIMING\] //' | jq '.total_ms' | awk '{ n++; s += $1 } END { printf "{\"count\":%d,\"meanMs\":%.6f}", n, s / n }'`;

const { values } = parseArgs({ options: { lines: { type: 'string', default: '1000000' } } });
const lines = Number(values.lines);
if (!Number.isInteger(lines) || lines < 1_000) {
  console.error(`--lines takes a whole number from 1000 on, not ${values.lines}.`);
  process.exit(2);
}
const answer = z.object({ count: z.number(), meanMs: z.number() });
const report = z.object({
  all: z.object({ stages: z.array(answer.extend({ stage: z.string() })) }),
  groups: z.array(z.unknown()).length(SERVERS),
});

await using dir = await tempDir('timing');
const [log, tenfold] = [join(dir.path, 'worker.log'), join(dir.path, 'tenfold.log')];
process.stderr.write(`writing ${lines.toLocaleString('en')} lines, and ten times as many\n`);
await writeLog(log, lines);
await writeLog(tenfold, lines * 10);

const ours: Run[] = [];
const peers: Run[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const one = await timed(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    MAIN,
    'timing',
    '--json',
    log,
  ]);
  const two = await timed('sh', ['-c', PEER, 'sh', log]);
  const total = report.parse(JSON.parse(one.stdout)).all.stages.find(({ stage }) => stage === 'total');
  const truth = answer.parse(JSON.parse(two.stdout));
  if (total?.count !== truth.count || Math.abs(total.meanMs / truth.meanMs - 1) > 1e-6)
    throw new Error(`the results differ: ours ${JSON.stringify(total)}, the peer's ${two.stdout}`);
  ours.push(one);
  peers.push(two);
  process.stderr.write(
    `round ${round + 1}: ours ${one.ms.toFixed(0)} ms, ${one.peakMb} MB; the peer ${two.ms.toFixed(0)} ms\n`,
  );
}
const large = await timed(process.execPath, [
  '--disable-warning=ExperimentalWarning',
  MAIN,
  'timing',
  '--json',
  tenfold,
]);
const median = (runs: Run[]): number =>
  runs.map(({ ms }) => ms).sort((a, b) => a - b)[Math.floor(runs.length / 2)] ?? NaN;
const [oursMs, peerMs] = [median(ours), median(peers)];
const growth = large.ms / 10 / oursMs;
const peakMb = Math.max(large.peakMb, ...ours.map((one) => one.peakMb));
process.stderr.write(
  `ten times the lines: ${large.ms.toFixed(0)} ms (${growth.toFixed(2)} times as long a line), peak memory ${peakMb} MB\n`,
);
const ratio = peerMs / oursMs;
const holds = ratio >= targets.timesFaster && peakMb <= targets.memoryMb && growth <= targets.growth;
const round = (value: number): number => Math.round(value * 100) / 100;
console.log(
  JSON.stringify({
    bench: 'timing',
    ours: round(oursMs),
    peer: round(peerMs),
    ratio: round(ratio),
    unit: 'ms',
    holds,
  }),
);
process.exitCode = holds ? 0 : 1;

interface Run {
  ms: number;
  /** Greatest resident memory of the process itself; 0 where the system does not tell. */
  peakMb: number;
  stdout: string;
}

async function timed(command: string, args: string[]): Promise<Run> {
  const began = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let peakMb = 0;
  const watch = setInterval(() => {
    void readFile(`/proc/${child.pid}/status`, 'utf8').then(
      (status) => (peakMb = Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)),
      () => undefined,
    );
  }, 20);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  const ms = performance.now() - began;
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return { ms, peakMb, stdout: Buffer.concat(chunks).toString('utf8') };
}

async function writeLog(path: string, count: number): Promise<void> {
  const random = seededRandom(41);
  const out = createWriteStream(path);
  const beganMs = Date.UTC(2026, 0, 9);
  for (let i = 0; i < count; i++) {
    const at = new Date(beganMs + i * 50).toISOString();
    const head = `${at.slice(0, 10)} ${at.slice(11, 19)} +0000 INFO   `;
    const text =
      i % 3 === 0
        ? `queue claimed a message component=worker thread=${i % 10} pid=4711`
        : timingText(i, at, random);
    if (!out.write(`${head} ${text}\n`)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'close');
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
    total_ms: part(1),
    status: i % 20 ? 'success' : 'error',
    error: null,
  })}`;
}
