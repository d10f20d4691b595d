// A queue's source as a connection makes it, on a server of the harness.
import { databaseSchema, type JobsMapping } from '../../src/contract/settings.ts';
import type { DatabaseType, QueueSystem } from '../../src/contract/queue-systems.ts';
import { openQueue } from '../../src/main/sources/queues/open-queue.ts';
import type { Source } from '../../src/main/sources/source.ts';

export interface TestQueue {
  server: { host: string; port: number };
  system: QueueSystem;
  type?: DatabaseType;
  user: string;
  password: string | null;
  database: string;
  schema?: string;
  mapping?: JobsMapping;
  statementTimeoutMs?: number;
  /** Local clock, epoch ms. */
  now?: () => number;
}

export function testQueueSource(options: TestQueue): Source {
  const { server, system, type = 'postgres', user, password, database, schema, mapping } = options;
  const { host, port } = server;
  return openQueue({
    connection: {
      system,
      schema,
      mapping,
      database: { ...databaseSchema.parse({ host, port, user, database }), type },
    },
    password: () => Promise.resolve(password),
    now: options.now ?? Date.now,
    ...(options.statementTimeoutMs === undefined ? {} : { statementTimeoutMs: options.statementTimeoutMs }),
  });
}
