// What a made-up database holds, for the form of a connection.
import type { MethodHandlers } from '../../../src/contract/api.ts';
import { jobsMappingSchema } from '../../../src/contract/settings.ts';
import { atLeast, exact } from '../../../src/core/count.ts';

type DraftMethods = Pick<MethodHandlers, 'queue.detect' | 'queue.proposeMapping' | 'queue.preview'>;

export const draftPlay: DraftMethods = {
  'queue.detect': ({ database }) =>
    Promise.resolve({
      server: database.type === 'postgres' ? 'PostgreSQL 16.4' : 'MariaDB 10.11.9',
      queues: [
        {
          system: 'pg-boss',
          name: 'pg-boss',
          schema: 'pgboss',
          table: null,
          version: 'schema version 43',
          problems: [],
        },
        {
          system: 'jobs-table',
          name: 'Jobs table',
          schema: 'public',
          table: 'jobs',
          version: null,
          problems: [],
        },
        {
          system: 'river',
          name: 'River',
          schema: 'public',
          table: null,
          version: 'migration 4',
          problems: ["Column river_job.unique_states is not there: finish River's migrations."],
        },
      ],
      notes: [],
    }),
  'queue.proposeMapping': ({ table }) =>
    Promise.resolve({
      mapping: jobsMappingSchema.parse({
        ...{ table, id: 'id', tenant: 'user_id', kind: 'kind', state: 'status', createdAt: 'created_at' },
        states: { ready: ['queued'], running: ['processing'], dead: ['error'], done: ['done'] },
      }),
      reasons: { id: 'the primary key', tenant: 'named user_id', state: 'named status, 4 values' },
      columns: ['id', 'user_id', 'kind', 'status', 'created_at'].map((name) => ({
        name,
        type: name.endsWith('_at') ? 'timestamp with time zone' : 'text',
        nullable: false,
      })),
      stateValues: ['queued', 'processing', 'done', 'error'],
      doubts: ["What 'odd' of status means is not told."],
    }),
  'queue.preview': () =>
    Promise.resolve({
      system: 'pg-boss (schema version 43) on PostgreSQL 16.4',
      tenantWord: 'queue',
      warnings: ['No index leads to the running jobs of a large table.'],
      tenantCount: 42,
      tenants: [
        {
          name: 'mail',
          lagMs: 312_000,
          ready: atLeast(200),
          delayed: exact(3),
          running: exact(2),
          dead: exact(17),
        },
        { name: 'reports', lagMs: 0, ready: exact(0), delayed: exact(0), running: exact(1), dead: null },
      ],
      jobs: [
        {
          id: 'f3b1',
          tenantId: 'mail',
          kind: null,
          state: 'ready',
          stateWord: 'created',
          createdAtMs: Date.now() - 312_000,
          readyAtMs: Date.now() - 312_000,
          startedAtMs: null,
          finishedAtMs: null,
          attempts: 0,
          maxAttempts: 3,
          priority: 0,
          owner: null,
          stale: false,
          error: null,
        },
      ],
      costMs: 12,
    }),
};
