// What one poll of a Postal queue costs the database, against the query an engineer would write by hand.
//
//   npm run bench:snapshot -- --rows 1000000
//
// Both run in turn on the same MariaDB, at a hundredth, a tenth and the whole of the rows. Reads are the server's
// own Handler_read counters, taken from outside by a connection that reads nothing else; times are medians. The
// last line is one line of JSON. Ends with 1 when a target is missed or could not be judged.
import { parseArgs } from 'node:util';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { openPostal } from '../../src/main/sources/postal/postal-source.ts';
import { startMariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader, fillQueue } from '../harness/postal-schema.ts';

const SERVERS = 41;
const ROUNDS = 7;
const PEER = 'SELECT server_id, COUNT(*), MIN(created_at) FROM queued_messages GROUP BY server_id';
/** With fewer rows a tenant's head is not full, and growth from there would be that of the queue, not of the cost. */
const FULL_HEAD = 201;
const targets = { readsPerTenant: 300, growth: 1.2, fewerThanPeer: 50 };

interface Cost {
  reads: number;
  ms: number;
}
interface Measured {
  rows: number;
  ours: Cost;
  peer: Cost;
}

const { values } = parseArgs({ options: { rows: { type: 'string', default: '1000000' } } });
const largest = Number(values.rows);
if (!Number.isInteger(largest) || largest < 100) {
  console.error(`--rows takes a whole number from 100 on, not ${values.rows}.`);
  process.exit(2);
}

await using db = await startMariaDb({ bufferPoolMb: 512 });
const servers = Array.from({ length: SERVERS }, (_, i) => ({ id: i + 1, name: `server ${i + 1}` }));
const postal = await createPostal(db, { servers });
const reader = await createReader(postal);
const observer = await db.connect('postal');
const peer = await db.connect('postal');
const source = openPostal({
  database: {
    host: db.host,
    port: db.port,
    user: reader.user,
    database: 'postal',
    tls: { mode: 'disabled' },
  },
  postal: { messageDatabasePrefix: 'postal-server-', staleLockHours: 24 },
  password: () => Promise.resolve(reader.password),
  now: () => performance.timeOrigin + performance.now(),
});

try {
  const measured: Measured[] = [];
  for (const rows of [largest / 100, largest / 10, largest].map(Math.round)) {
    process.stderr.write(`filling the queue with ${rows.toLocaleString('en')} rows\n`);
    await observer.query('TRUNCATE queued_messages');
    await fillQueue(postal, { rows });
    measured.push(await measure(rows));
  }
  report(measured);
} finally {
  await source[Symbol.asyncDispose]();
  await peer.end();
  await observer.end();
}

async function measure(rows: number): Promise<Measured> {
  const snapshot = () => source.snapshot(AbortSignal.timeout(30_000));
  const byHand = () => peer.query(PEER);
  // The first of each warms the buffer pool and, for ours, connects and looks at the schema.
  await snapshot();
  await byHand();
  const observing = await cost(() => Promise.resolve());
  const ours: Cost[] = [];
  const peers: Cost[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await cost(snapshot));
    peers.push(await cost(byHand));
  }
  return { rows, ours: typical(ours, observing), peer: typical(peers, observing) };
}

async function cost(work: () => Promise<unknown>): Promise<Cost> {
  const before = await handlerReads(observer);
  const startedMs = performance.now();
  await work();
  const ms = performance.now() - startedMs;
  return { reads: (await handlerReads(observer)) - before, ms };
}

/** Sum of all Handler_read counters of the whole server; nobody else is connected. */
async function handlerReads(connection: Connection): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Handler_read%'");
  return rows.reduce((sum, row) => sum + Number(row['Value']), 0);
}

/** The most reads and the median time of the rounds, without what observing costs. */
function typical(costs: Cost[], observing: Cost): Cost {
  const times = costs.map(({ ms }) => ms).sort((a, b) => a - b);
  return {
    reads: Math.max(...costs.map(({ reads }) => reads)) - observing.reads,
    ms: times[Math.floor(times.length / 2)] ?? NaN,
  };
}

function report(measured: Measured[]): void {
  const number = (value: number, digits = 0) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  console.log(`\n${SERVERS} servers, ${ROUNDS} rounds of each in turn; peer: ${PEER}\n`);
  console.log('     rows  rows/server  ours reads  per server  ours ms  peer reads   peer ms  fewer reads');
  for (const { rows, ours, peer: other } of measured) {
    const cells = [
      number(rows).padStart(9),
      number(rows / SERVERS).padStart(12),
      number(ours.reads).padStart(11),
      number(ours.reads / SERVERS, 1).padStart(11),
      number(ours.ms, 1).padStart(8),
      number(other.reads).padStart(11),
      number(other.ms, 1).padStart(9),
      `${number(other.reads / ours.reads, 1)} ×`.padStart(12),
    ];
    console.log(cells.join(' '));
  }

  const last = measured.at(-1);
  const full = measured.filter(({ rows }) => Math.floor(rows / SERVERS) >= FULL_HEAD);
  const first = full[0];
  if (last === undefined) throw new Error('nothing was measured');
  const readsPerTenant = Math.max(...measured.map(({ ours }) => ours.reads / SERVERS));
  const growth = first === undefined || full.length < 2 ? null : last.ours.reads / first.ours.reads;
  const ratio = last.peer.reads / last.ours.reads;
  const verdicts = [
    {
      holds: readsPerTenant <= targets.readsPerTenant,
      what: `${number(readsPerTenant, 1)} reads per server at most (target: ${targets.readsPerTenant})`,
    },
    {
      holds: growth !== null && growth < targets.growth,
      what:
        growth === null || first === undefined
          ? `growth cannot be judged: it takes two sizes with ${FULL_HEAD} rows per server and more`
          : `reads grow ${number(growth, 3)} times from ${number(first.rows)} to ${number(last.rows)} rows (target: under ${targets.growth})`,
    },
    {
      holds: ratio >= targets.fewerThanPeer,
      what: `${number(ratio, 1)} times fewer reads than the peer at ${number(last.rows)} rows (target: ${targets.fewerThanPeer})`,
    },
  ];
  console.log();
  for (const { holds, what } of verdicts) console.log(`${holds ? 'holds ' : 'MISSED'}  ${what}`);
  if (first !== undefined && first !== measured[0]) {
    console.log(`        growth is told from ${number(first.rows)} rows on: below, heads are not full`);
  }
  const holds = verdicts.every((verdict) => verdict.holds);
  if (!holds) process.exitCode = 1;
  console.log(
    JSON.stringify({
      bench: 'snapshot',
      ours: last.ours.reads,
      peer: last.peer.reads,
      ratio: Number(ratio.toFixed(1)),
      unit: 'handler reads',
      holds,
    }),
  );
}
