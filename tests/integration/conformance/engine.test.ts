import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobsQuery } from '../../../src/contract/queue-jobs.ts';
import type { NewJob } from '../../../src/main/engine/job.ts';
import { LOOKED_THROUGH } from '../../../src/main/engine/stores/store.ts';
import {
  engineOnMariaDb,
  engineOnPostgres,
  engineOnSqlite,
  type EngineSystem,
} from '../../harness/systems/engine.ts';
import { sourceSuite } from './source-suite.ts';

sourceSuite('An engine on PostgreSQL', engineOnPostgres);
sourceSuite('An engine on MariaDB', engineOnMariaDb);
sourceSuite('An engine on SQLite', engineOnSqlite, { isFile: true });

const never = new AbortController().signal;
const shared: [string, () => Promise<EngineSystem>][] = [
  ['PostgreSQL', engineOnPostgres],
  ['MariaDB', engineOnMariaDb],
];

describe.each(shared)('Lists of an engine on %s', (_, create) => {
  let system: EngineSystem;
  beforeAll(async () => {
    system = await create();
  });
  afterAll(() => system[Symbol.asyncDispose]());
  beforeEach(() => system.clear());

  /** What a page reads, of each list, beside so many ready, delayed and waiting jobs of others. */
  async function costs(rows: number): Promise<Record<string, number>> {
    await system.clear();
    await system.fill(rows, 10);
    const store = system.store();
    const nowMs = Date.now();
    const crowd = (more: Partial<NewJob>): NewJob[] =>
      Array.from({ length: rows }, () => ({ tenantId: 'crowd', kind: 'mail', payload: {}, ...more }));
    const delayed = crowd({}).map((job, i) => ({ ...job, readyAtMs: nowMs + 3_600_000 + i }));
    const [parent] = await store.enqueue([{ tenantId: 'crowd', kind: 'mail', payload: {} }], nowMs);
    await store.enqueue(
      [...delayed, { ...crowd({})[0], tenantId: 'late', readyAtMs: nowMs + 1e9 } as NewJob],
      nowMs,
    );
    await store.enqueue(crowd({ dependsOn: [{ id: parent?.id ?? 0 }] }), nowMs);
    await using source = system.source();
    const found: Record<string, number> = {};
    for (const list of ['ready', 'delayed', 'blocked'] as const)
      for (const tenantId of [null, list === 'ready' ? 't0' : 'late']) {
        const query: JobsQuery = { list, tenantId, after: null, limit: 50 };
        // The session is opened before what is measured.
        await source.details.jobs(query, never);
        const before = await system.reads();
        const { jobs, next } = await source.details.jobs(query, never);
        if (tenantId !== 'late') expect(jobs).toHaveLength(50);
        if (list === 'blocked') expect(next).not.toBeNull();
        found[`${list} of ${tenantId ?? 'all'}`] = (await system.reads()) - before;
      }
    return found;
  }

  test('read as much of four times as many jobs, up to what a page looks through', async () => {
    const few = await costs(LOOKED_THROUGH * 1.2);
    const many = await costs(LOOKED_THROUGH * 4.8);
    for (const [list, reads] of Object.entries(few))
      expect({
        list,
        few: reads,
        many: many[list],
        isBounded: (many[list] ?? Infinity) <= reads * 2 + 500,
      }).toEqual({
        list,
        few: reads,
        many: many[list],
        isBounded: true,
      });
  }, 120_000);
});
