// A process that runs the engine on a store file and tells what it starts and finishes: for tests that kill it.
import { systemClock, sleep } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';

const [file = '', owner = '', runMs = '0'] = process.argv.slice(2);
const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);

const store = SqliteStore.open({ file });
const engine = new Engine(
  {
    store,
    clock: systemClock,
    owner,
    handlers: [
      {
        kind: 'mail',
        timeoutMs: 60_000,
        retryDelayMs: () => 0,
        async run(job, { signal }) {
          say({ started: job.id });
          await sleep(systemClock, Number(runMs), signal);
          say({ ended: job.id });
        },
      },
    ],
    onAttempt: ({ claim }) => say({ settled: claim.id }),
    onProblem: (problem) => say({ problem: problem.message }),
  },
  { workers: 8, order: 'fair' },
);
await engine.start();
process.once('SIGTERM', () => {
  void engine.stop(0).then(() => store[Symbol.asyncDispose]());
});
// An idle engine has nothing that keeps its process alive.
const stay = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => clearInterval(stay));
