// Every system that a source can watch, by the name the bench knows it by.
import { bullmqSystem } from './bullmq.ts';
import { engineOnMariaDb, engineOnPostgres } from './engine.ts';
import { goodJobSystem } from './good-job.ts';
import { graphileWorkerSystem } from './graphile-worker.ts';
import { jobsTableOnMariaDb, jobsTableOnPostgres } from './jobs-table.ts';
import { obanSystem } from './oban.ts';
import { pgBossSystem } from './pg-boss.ts';
import { postalSystem } from './postal.ts';
import { queenSystem } from './queen.ts';
import { riverSystem } from './river.ts';
import { solidQueueOnMariaDb, solidQueueOnPostgres } from './solid-queue.ts';
import type { WatchedSystem } from './system.ts';

interface Entry {
  create: () => Promise<WatchedSystem>;
  /** Also measured with five million jobs. */
  isHuge?: boolean;
}

export const databaseSystems: Readonly<Record<string, Entry>> = {
  postal: { create: postalSystem, isHuge: true },
  'jobs-postgres': { create: jobsTableOnPostgres, isHuge: true },
  'jobs-mariadb': { create: jobsTableOnMariaDb, isHuge: true },
  queen: { create: queenSystem, isHuge: true },
  'pg-boss': { create: pgBossSystem },
  'graphile-worker': { create: graphileWorkerSystem },
  bullmq: { create: bullmqSystem },
  river: { create: riverSystem },
  oban: { create: obanSystem },
  'engine-postgres': { create: engineOnPostgres },
  'engine-mariadb': { create: engineOnMariaDb },
  'solid-queue-postgres': { create: solidQueueOnPostgres },
  'solid-queue-mariadb': { create: solidQueueOnMariaDb },
  'good-job': { create: goodJobSystem },
};
