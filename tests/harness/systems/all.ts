// Every system that a source can watch, by the name the bench knows it by.
import { graphileWorkerSystem } from './graphile-worker.ts';
import { jobsTableOnMariaDb, jobsTableOnPostgres } from './jobs-table.ts';
import { obanSystem } from './oban.ts';
import { pgBossSystem } from './pg-boss.ts';
import { postalSystem } from './postal.ts';
import { riverSystem } from './river.ts';
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
  'pg-boss': { create: pgBossSystem },
  'graphile-worker': { create: graphileWorkerSystem },
  river: { create: riverSystem },
  oban: { create: obanSystem },
};
