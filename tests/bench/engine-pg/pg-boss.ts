// pg-boss with large batches that follow each other at once.
import { PgBoss } from 'pg-boss';
import { countdown, countOf, ENQUEUED_AT_ONCE, urlOf, WORKERS, type Contender } from './contender.ts';

const QUEUE = 'log';

export function pgBoss(name: string, batchSize: number): Contender {
  return {
    name,
    async enqueue(db, schema, jobs) {
      const boss = new PgBoss({
        connectionString: urlOf(db),
        schema,
        max: WORKERS + 1,
        supervise: false,
        schedule: false,
      });
      boss.on('error', (error) => process.stderr.write(`${String(error)}\n`));
      await boss.start();
      await boss.createQueue(QUEUE);
      for (let from = 0; from < jobs; from += ENQUEUED_AT_ONCE) {
        const length = Math.min(ENQUEUED_AT_ONCE, jobs - from);
        await boss.insert(
          QUEUE,
          Array.from({ length }, (_, i) => ({ data: { id: from + i } })),
        );
      }
      const { run, over } = countdown(jobs);
      return {
        async work() {
          const options = {
            batchSize,
            burstWhenBatchFull: true,
            localConcurrency: WORKERS,
            pollingIntervalSeconds: 0.5,
          };
          await boss.work(QUEUE, options, (batch) => {
            for (const _ of batch) run();
            return Promise.resolve();
          });
          await over;
        },
        async close() {
          await boss.stop({ graceful: true, close: true });
          return countOf(db, `SELECT count(*) FROM ${schema}.job WHERE state < 'completed'`);
        },
      };
    },
  };
}
