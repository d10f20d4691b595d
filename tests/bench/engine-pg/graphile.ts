// Graphile Worker, plain and as its own performance test is fastest: a local queue of 500 and batched completion.
import { Logger, makeWorkerUtils, run as start, type Runner } from 'graphile-worker';
import { Pool } from 'pg';
import { countdown, countOf, ENQUEUED_AT_ONCE, urlOf, WORKERS, type Contender } from './contender.ts';

const silent = new Logger(() => () => undefined);

export function graphile(name: string, worker: Partial<GraphileConfig.WorkerOptions>): Contender {
  return {
    name,
    async enqueue(db, schema, jobs) {
      const pgPool = new Pool({ connectionString: urlOf(db), max: WORKERS + 1 });
      pgPool.on('error', (error) => process.stderr.write(`${error.message}\n`));
      const utils = await makeWorkerUtils({ pgPool, schema, logger: silent });
      await utils.migrate();
      for (let from = 0; from < jobs; from += ENQUEUED_AT_ONCE) {
        const length = Math.min(ENQUEUED_AT_ONCE, jobs - from);
        await utils.addJobs(
          Array.from({ length }, (_, i) => ({ identifier: 'log', payload: { id: from + i } })),
        );
      }
      await utils.release();
      const { run, over } = countdown(jobs);
      let runner: Runner | undefined;
      return {
        async work() {
          runner = await start({
            pgPool,
            noHandleSignals: true,
            taskList: { log: () => run() },
            preset: {
              worker: {
                schema,
                concurrentJobs: WORKERS,
                maxPoolSize: WORKERS + 1,
                logger: silent,
                ...worker,
              },
            },
          });
          await over;
        },
        async close() {
          await runner?.stop();
          await pgPool.end();
          return countOf(db, `SELECT count(*) FROM ${schema}._private_jobs`);
        },
      };
    },
  };
}
