// Our engine with its PostgreSQL store, as `headway worker` runs it.
import { jobKindSchema } from '../../../src/contract/job-kinds.ts';
import { systemClock } from '../../../src/main/engine/clock.ts';
import { Engine } from '../../../src/main/engine/engine.ts';
import { PostgresStore } from '../../../src/main/engine/stores/postgres-store.ts';
import { countdown, ENQUEUED_AT_ONCE, WORKERS, type Contender } from './contender.ts';

/** `tenantOf` says whose the n-th job is; `onStart` hears whose jobs start, in order. */
export function ours(
  name: string,
  tenantOf: (n: number) => string,
  onStart: (tenantId: string) => void = () => undefined,
): Contender {
  return {
    name,
    async enqueue(db, schema, jobs) {
      const { host, port, user, password } = db;
      const store = await PostgresStore.open({ host, port, user, password, database: 'postgres', schema });
      const nowMs = await store.time();
      for (let from = 0; from < jobs; from += ENQUEUED_AT_ONCE) {
        const length = Math.min(ENQUEUED_AT_ONCE, jobs - from);
        const batch = Array.from({ length }, (_, i) => ({
          tenantId: tenantOf(from + i),
          kind: 'log',
          payload: { id: from + i },
        }));
        await store.enqueue(batch, nowMs);
      }
      const { run, over } = countdown(jobs);
      const { handler: _, ...policy } = jobKindSchema.parse({
        kind: 'log',
        handler: { type: 'command', command: ['in-process'] },
      });
      const engine = new Engine(
        {
          store,
          clock: systemClock,
          owner: 'bench',
          random: Math.random,
          memory: () => ({ rssBytes: process.memoryUsage.rss(), limitBytes: 2 ** 32 }),
          onAttempt: () => undefined,
          onProblem: (problem) => process.stderr.write(`${problem.message}\n`),
        },
        [
          {
            policy,
            handler: {
              kind: 'log',
              runsIn: 'engine',
              run: ({ tenantId }) => {
                onStart(tenantId);
                run();
                return Promise.resolve();
              },
            },
          },
        ],
        { workers: WORKERS, order: 'fair', tenants: {} },
      );
      return {
        async work() {
          await engine.start();
          await over;
        },
        async close() {
          await engine.stop(5_000);
          const { tenants } = await store.depths(0);
          await store[Symbol.asyncDispose]();
          return tenants.reduce(
            (sum, { ready, running, dead }) => sum + ready.value + running.value + dead.value,
            0,
          );
        },
      };
    },
  };
}
