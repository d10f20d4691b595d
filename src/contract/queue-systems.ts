// The queue systems that are known by their tables: how each is called, and in which databases it can live.
import { z } from 'zod';

export const queueSystemSchema = z.enum([
  'queen',
  'pg-boss',
  'graphile-worker',
  'bullmq',
  'river',
  'oban',
  'solid-queue',
  'good-job',
  'jobs-table',
]);
export type QueueSystem = z.infer<typeof queueSystemSchema>;
export type DatabaseType = 'postgres' | 'mysql';

interface SystemFacts {
  /** As its makers write it. */
  name: string;
  databases: readonly [DatabaseType, ...DatabaseType[]];
  /** The PostgreSQL schema it uses unless told otherwise; null where the mapping names it with the table. */
  schema: string | null;
}

export const queueSystems: Readonly<Record<QueueSystem, SystemFacts>> = {
  queen: { name: 'Queen', databases: ['postgres'], schema: 'queen' },
  'pg-boss': { name: 'pg-boss', databases: ['postgres'], schema: 'pgboss' },
  'graphile-worker': { name: 'Graphile Worker', databases: ['postgres'], schema: 'graphile_worker' },
  bullmq: { name: 'BullMQ', databases: ['postgres'], schema: 'bullmq' },
  river: { name: 'River', databases: ['postgres'], schema: 'public' },
  oban: { name: 'Oban', databases: ['postgres'], schema: 'public' },
  'solid-queue': { name: 'Solid Queue', databases: ['postgres', 'mysql'], schema: 'public' },
  'good-job': { name: 'GoodJob', databases: ['postgres'], schema: 'public' },
  'jobs-table': { name: 'Jobs table', databases: ['postgres', 'mysql'], schema: null },
};
