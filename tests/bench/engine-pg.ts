// How many jobs that do nothing are worked off a second on one PostgreSQL, ten at once.
//
//   npm run bench:engine-pg -- --jobs 200000 --rounds 3
//
// In turn, round after round, each with tables of its own in one server: our engine (one tenant), our engine in fair order
// with 1,000 tenants of which one has 90 % of the jobs, Graphile Worker with a local queue of 500 and batched completion (the
// peer, as its own performance test runs it), plain Graphile Worker (with a tenth of the jobs, it is slower)
// and pg-boss with batches of 1,000. The jobs are enqueued, the tables vacuumed and analysed and a checkpoint made before the clock starts;
// it stops when the last job has run. Afterwards no job may be left. The server keeps PostgreSQL's own defaults of durability (fsync
// and synchronous_commit on) and has 128 MB of shared buffers, for everyone.
//
// The last two lines are JSON: engine-pg-fair, whose peer is 0.8 of the local queue's figure, and engine-pg.
import { parseArgs } from 'node:util';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { countOf, type Contender } from './engine-pg/contender.ts';
import { graphile } from './engine-pg/graphile.ts';
import { ours } from './engine-pg/ours.ts';
import { pgBoss } from './engine-pg/pg-boss.ts';

const TENANTS = 1_000;
/** The figure: fair order may cost a fifth. */
const FAIR_SHARE = 0.8;

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
});
const jobs = Number(values.jobs);
const rounds = Number(values.rounds);
if (!Number.isInteger(jobs) || jobs < 10_000 || !Number.isInteger(rounds) || rounds < 1) {
  console.error('--jobs takes a whole number from 10000 on, --rounds one from 1 on.');
  process.exit(2);
}

/** One tenant has 9 of 10 jobs, the others share the rest. */
const heavyOrLight = (n: number): string => (n % 10 === 0 ? `light-${(n / 10) % (TENANTS - 1)}` : 'heavy');
/** How many jobs had started when the last one of a light tenant did. */
let started = 0;
let lastLight = 0;
const fair = ours('ours, fair', heavyOrLight, (tenantId) => {
  started++;
  if (tenantId !== 'heavy') lastLight = started;
});

const contenders = {
  ours: { contender: ours('ours', () => 'one'), share: 1 },
  fair: { contender: fair, share: 1 },
  localQueue: {
    contender: graphile('Graphile Worker, local queue 500', {
      localQueue: { size: 500 },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    }),
    share: 1,
  },
  plain: { contender: graphile('Graphile Worker, plain', {}), share: 0.1 },
  boss: { contender: pgBoss('pg-boss, batches of 1,000', 1_000), share: 1 },
} satisfies Record<string, { contender: Contender; share: number }>;
type Name = keyof typeof contenders;
// Object.keys forgets the keys.
const names = (Object.keys(contenders) as Name[]).filter(
  (name) => values.only === '' || values.only.split(',').includes(name),
);

await using db = await startPostgres({ sharedBuffersMb: 128, settings: { fsync: 'on' } });
const durability = await settingsOf(db, ['server_version', 'fsync', 'synchronous_commit', 'wal_sync_method']);
process.stdout.write(`PostgreSQL ${durability}; ${jobs} jobs, 10 at once\n`);

const perSecond: Record<Name, number[]> = { ours: [], fair: [], localQueue: [], plain: [], boss: [] };
for (let round = 0; round < rounds; round++) {
  for (const name of names) {
    const { contender, share } = contenders[name];
    const rate = await measure(db, contender, `${name.toLowerCase()}_${round}`, Math.round(jobs * share));
    perSecond[name].push(rate);
    process.stdout.write(
      `round ${round + 1}: ${Math.round(rate).toLocaleString('en')} jobs/s  ${contender.name}\n`,
    );
    if (name === 'fair') {
      process.stdout.write(
        `         the last of ${Math.ceil(jobs / 10)} jobs of light tenants was the ${lastLight}th of all to start\n`,
      );
      started = lastLight = 0;
    }
  }
}

for (const name of names)
  process.stdout.write(
    `median: ${Math.round(median(perSecond[name])).toLocaleString('en')} jobs/s  ${contenders[name].contender.name}\n`,
  );
report('engine-pg-fair', median(perSecond.fair), FAIR_SHARE * median(perSecond.localQueue));
report('engine-pg', median(perSecond.ours), median(perSecond.localQueue));

async function measure(
  server: Postgres,
  contender: Contender,
  schema: string,
  count: number,
): Promise<number> {
  const backlog = await contender.enqueue(server, schema, count);
  await settle(server);
  const beganMs = performance.now();
  await backlog.work();
  const tookMs = performance.now() - beganMs;
  const left = await backlog.close();
  if (left !== 0) throw new Error(`${contender.name} left ${left} jobs behind`);
  await countOf(server, `DROP SCHEMA ${schema} CASCADE`);
  return (count / tookMs) * 1_000;
}

/** What the server has to do about the new rows is done before the clock starts. */
async function settle(server: Postgres): Promise<void> {
  const client = await server.connect();
  await client.query('VACUUM ANALYZE');
  await client.query('CHECKPOINT');
  await client.end();
}

async function settingsOf(server: Postgres, wanted: string[]): Promise<string> {
  const client = await server.connect();
  const { rows } = await client.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
    [wanted],
  );
  await client.end();
  return rows.map(({ name, setting }) => `${name} ${setting}`).join(', ');
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = NaN, high = NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

function report(bench: string, oursRate: number, peer: number): void {
  const ratio = oursRate / peer;
  const line = {
    bench,
    ours: Math.round(oursRate),
    peer: Math.round(peer),
    ratio: Number(ratio.toFixed(2)),
    unit: 'jobs/s',
    holds: ratio >= 1,
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
