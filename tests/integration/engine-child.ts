// A process that runs the engine on a store file and tells what it starts and finishes: for tests that kill it.
import { writeSync } from 'node:fs';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { sleep, systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';

const [file = '', owner = '', workers = '8', runMs = '0'] = process.argv.slice(2);
/** At once, also when the reader is slow: what was said before a kill is heard. */
const say = (line: object): number => writeSync(1, `${JSON.stringify(line)}\n`);

const { handler: _, ...policy } = jobKindSchema.parse({
  kind: 'mail',
  handler: { type: 'command', command: ['in-process'] },
});
const store = SqliteStore.open({ file });
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
          say({ started: job.id });
          await sleep(systemClock, Number(runMs), signal);
          say({ ended: job.id });
        },
      },
    },
  ],
  { workers: Number(workers), order: 'fair', tenants: {} },
);
await engine.start();
process.once('SIGTERM', () => {
  void engine.stop(0).then(() => store[Symbol.asyncDispose]());
});
// An idle engine has nothing that keeps its process alive.
const stay = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => clearInterval(stay));
