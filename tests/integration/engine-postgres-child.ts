// A process that runs the engine on a PostgreSQL and tells what it starts and finishes: for tests that kill it.
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { sleep, systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import { PostgresStore } from '../../src/main/engine/stores/postgres-store.ts';

const [port = '', password = '', owner = '', workers = '', runMs = ''] = process.argv.slice(2);
const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);

const { handler: _, ...policy } = jobKindSchema.parse({
  kind: 'mail',
  handler: { type: 'command', command: ['in-process'] },
});
const store = await PostgresStore.open({
  host: '127.0.0.1',
  port: Number(port),
  user: 'postgres',
  password,
  database: 'postgres',
});
const engine = new Engine(
  {
    store,
    clock: systemClock,
    owner,
    random: Math.random,
    memory: () => ({ rssBytes: process.memoryUsage.rss(), limitBytes: 2 ** 30 }),
    onAttempt: ({ claim }) => say({ settled: claim.id }),
    onProblem: (problem) => say({ problem: problem.message }),
  },
  [
    {
      policy,
      handler: {
        kind: 'mail',
        runsIn: 'engine',
        async run(job, { signal }) {
          await sleep(systemClock, Number(runMs), signal);
          say({ ended: job.id });
        },
      },
    },
  ],
  { workers: Number(workers), order: 'fair', tenants: {} },
);
await engine.start();
// An idle engine has nothing that keeps its process alive.
const stay = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  clearInterval(stay);
  void engine.stop(0).then(() => store[Symbol.asyncDispose]());
});
