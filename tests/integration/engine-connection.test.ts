// A headless engine's store as a connection: watched, tested and acted upon like any other system, on each database.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallInput } from '../../src/contract/api.ts';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import type { EngineStoreSettings } from '../../src/contract/settings.ts';
import { BULK_KIND, Bulks } from '../../src/main/engine/bulk.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import type { EngineKind } from '../../src/main/engine/engine-parts.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import { openStore } from '../../src/main/engine/stores/open-store.ts';
import { JobError } from '../../src/main/engine/workers/handler.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { tempDir } from '../harness/temp.ts';
import { soon, TestBackend } from './backend-fixture.ts';
import { headway } from './cli-fixture.ts';
import { startJobsDb } from './engine-mariadb-fixture.ts';

interface Place {
  url: string;
  settings: EngineStoreSettings;
  secrets: Record<string, string>;
}
const stack = new AsyncDisposableStack();
let maria: MariaDb;
let postgres: Postgres;
let folder: string;
beforeAll(async () => {
  folder = stack.use(await tempDir('engine-connection')).path;
  maria = stack.use(await startJobsDb());
  postgres = stack.use(await startPostgres());
});
afterAll(() => stack.disposeAsync());

const places: Record<string, () => Place> = {
  MariaDB: () => ({
    url: `mysql://root:${maria.rootPassword}@${maria.host}:${maria.port}/jobs`,
    settings: {
      type: 'mysql',
      database: {
        host: maria.host,
        port: maria.port,
        user: maria.rootUser,
        database: 'jobs',
        password: { stored: 'jobs.database' },
        tls: { mode: 'disabled' },
      },
    },
    secrets: { 'jobs.database': maria.rootPassword },
  }),
  PostgreSQL: () => ({
    url: `postgres://${postgres.user}:${postgres.password}@${postgres.host}:${postgres.port}/postgres`,
    settings: {
      type: 'postgres',
      database: {
        host: postgres.host,
        port: postgres.port,
        user: postgres.user,
        database: 'postgres',
        password: { stored: 'jobs.database' },
        tls: { mode: 'disabled' },
      },
    },
    secrets: { 'jobs.database': postgres.password },
  }),
  SQLite: () => ({
    url: `sqlite:${join(folder, 'jobs.db')}`,
    settings: { type: 'sqlite', file: join(folder, 'jobs.db') },
    secrets: {},
  }),
};
const connection = (
  place: Place,
  changes: Record<string, unknown> = {},
): CallInput<'connections.save'>['connection'] => ({
  id: 'jobs',
  name: 'Jobs',
  kind: 'engine',
  store: place.settings,
  pollSeconds: 0.25,
  windowSeconds: 2,
  ...changes,
});

/** A headless engine: mail to "sick" is refused for good, mail to "slow" takes until the end. */
async function headlessEngine(url: string) {
  await using opened = new AsyncDisposableStack();
  const store = opened.use(await openStore(url));
  const over = new AbortController();
  const bulks = new Bulks(store, () => engine.wake());
  const { handler: _, ...policy } = jobKindSchema.parse({
    kind: 'mail',
    handler: { type: 'command', command: ['unused'] },
  });
  const mail: EngineKind = {
    policy,
    handler: {
      kind: 'mail',
      runsIn: 'engine',
      run: async (job, { signal }) => {
        if (job.tenantId === 'sick') throw new JobError('permanent', '550 unknown user');
        if (job.tenantId !== 'slow') return;
        await new Promise<void>((resolve) => {
          for (const ending of [signal, over.signal])
            ending.addEventListener('abort', () => resolve(), { once: true });
        });
      },
    },
  };
  const engine: Engine = new Engine(
    {
      store,
      clock: systemClock,
      owner: 'worker-7',
      random: Math.random,
      memory: () => ({ rssBytes: 100, limitBytes: 1_000 }),
      onAttempt: () => undefined,
      onProblem: () => undefined,
    },
    [mail, bulks.kind],
    { workers: 4, order: 'fair', tenants: {} },
  );
  await engine.start();
  opened.defer(async () => {
    over.abort();
    await engine.stop(2_000);
  });
  const owned = opened.move();
  return { engine, store, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe.each(Object.keys(places))('an engine on %s', (name) => {
  const isShared = name !== 'SQLite';
  const place = (): Place => {
    const made = places[name];
    if (made === undefined) throw new Error(`no place ${name}`);
    return made();
  };

  it('is watched, tested and acted upon as its safety allows', async () => {
    const { url, settings, secrets } = place();
    await using headless = await headlessEngine(url);
    const send = (tenantId: string, count: number) =>
      headless.engine.enqueue(
        Array.from({ length: count }, () => ({ tenantId, kind: 'mail', payload: null })),
      );
    await send('sick', 3);
    await send('slow', 3);
    await expect.poll(async () => (await headless.store.deadGroups(1))[0]?.count, soon).toBe(3);
    // What it says of itself is told with its beats; here that its memory is short.
    const report = { ...headless.engine.report() };
    report.memory = { ...report.memory, rssBytes: 950, limitBytes: 1_000 };
    await headless.store.beat('worker-7', JSON.stringify(report), await headless.store.time());

    await using data = await tempDir('backend');
    await using backend = await TestBackend.start(data.path);
    const test = await backend.follow('connectionTest', {
      connection: connection({ url, settings, secrets }),
      secrets,
    });
    await expect.poll(() => test.deltas.at(-1)?.done, soon).toBe(true);
    const steps = test.deltas.at(-1)?.steps ?? [];
    expect(steps.map(({ id, state, error }) => [id, state, error])).toEqual(
      ['connect', 'schema', 'clock', 'engines'].map((id) => [`store.${id}`, 'ok', null]),
    );
    expect(steps[1]?.detail).toContain('3 dead');
    expect(steps[3]?.detail).toContain('worker-7');

    await backend.call('connections.save', { connection: connection({ url, settings, secrets }), secrets });
    await backend.untilLive('jobs');
    const overview = await backend.overview('jobs');
    await expect.poll(() => overview.row('slow').running.value, soon).toBe(3);
    await expect.poll(() => overview.head.workers.total, soon).toBe(4);
    expect(overview.head).toMatchObject({
      connection: { kind: 'engine', tenantWord: 'tenant', safety: 'read-only' },
      claimOrder: 'fair: one job of each tenant in turn',
    });
    // Its dead set and its memory reach the alert rules.
    const alerts = async () => {
      const { snapshot, leave } = await backend.follow('alerts', {});
      leave();
      return snapshot.alerts.map(({ ruleId, scope }) => `${ruleId} ${scope.kind} ${scope.id}`);
    };
    await expect.poll(alerts, soon).toContain('deadSet tenant sick');
    await expect.poll(alerts, soon).toContain('workerMemory worker worker-7');

    const { snapshot: view, leave } = await backend.follow('engine', { connectionId: 'jobs' });
    leave();
    expect(view).toMatchObject({
      place: 'database',
      problem: null,
      totals: { dead: { value: 3 }, running: { value: 3 } },
      deadGroups: [{ kind: 'mail', count: 3, example: '550 unknown user' }],
    });
    expect(view.engines.map(({ report }) => report.owner)).toEqual(['worker-7']);
    const [dead] = await backend.call('engine.deadJobs', { connectionId: 'jobs' });
    expect(await backend.call('engine.job', { connectionId: 'jobs', id: dead?.id ?? 0 })).toMatchObject({
      job: { tenantId: 'sick', state: 'dead' },
      payload: { text: 'null', shortened: false },
    });

    const hold = {
      connectionId: 'jobs',
      tenantId: 'slow',
      kind: null,
      mode: 'pause',
      reason: 'too slow',
    } as const;
    await expect(backend.call('engine.hold', hold)).rejects.toMatchObject({ code: 'unauthorized' });
    await backend.call('connections.save', {
      connection: connection({ url, settings, secrets }, { safety: 'confirm' }),
      secrets: {},
    });
    await backend.untilLive('jobs');
    if (!isShared) {
      // Its engine has the file for itself.
      await expect(backend.call('engine.hold', hold)).rejects.toMatchObject({ code: 'conflict' });
      return;
    }
    await backend.call('engine.hold', hold);
    const after = await backend.overview('jobs');
    await expect.poll(() => after.row('slow').paused?.reason, soon).toBe('too slow');
    expect(
      await backend.call('engine.unhold', { connectionId: 'jobs', tenantId: 'slow', kind: null }),
    ).toEqual({
      held: true,
    });

    await expect(
      backend.call('engine.enqueue', { connectionId: 'jobs', kind: 'fax', tenantId: 'a', payload: 1 }),
    ).rejects.toMatchObject({ code: 'not-found' });
    await backend.call('engine.enqueue', {
      connectionId: 'jobs',
      kind: 'mail',
      tenantId: 'sick',
      payload: 1,
    });
    await expect.poll(async () => (await headless.store.deadGroups(1))[0]?.count, soon).toBe(4);

    const { jobId } = await backend.call('engine.bulk', {
      connectionId: 'jobs',
      what: 'discard',
      filter: { tenantId: 'sick' },
    });
    expect((await headless.store.job(jobId))?.kind ?? BULK_KIND).toBe(BULK_KIND);
    await expect.poll(() => headless.store.deadGroups(1), soon).toEqual([]);
    const bulks = async () => {
      const followed = await backend.follow('engine', { connectionId: 'jobs' });
      followed.leave();
      return followed.snapshot.bulks.map(({ jobId: id, what, state }) => [id, what, state]);
    };
    await expect.poll(bulks, soon).toEqual([[jobId, 'discard', 'done']]);
  }, 60_000);

  it('fails its test where there is no store, or another password, and says so', async () => {
    const { url, settings, secrets } = place();
    await using data = await tempDir('backend');
    await using backend = await TestBackend.start(data.path);
    const stepsOf = async (given: EngineStoreSettings, password: Record<string, string>) => {
      const test = await backend.follow('connectionTest', {
        connection: connection({ url, settings: given, secrets }),
        secrets: password,
      });
      await expect.poll(() => test.deltas.at(-1)?.done, soon).toBe(true);
      return test.deltas.at(-1)?.steps.map(({ state, error }) => error?.code ?? state);
    };
    if (settings.type === 'sqlite') {
      expect(await stepsOf({ type: 'sqlite', file: join(folder, 'nothing.db') }, {})).toEqual([
        'file-missing',
        'skipped',
        'skipped',
        'skipped',
      ]);
      return;
    }
    const database = { ...settings.database, database: settings.type === 'mysql' ? 'mysql' : 'template1' };
    expect(await stepsOf({ ...settings, database }, secrets)).toEqual([
      'ok',
      'schema-mismatch',
      'skipped',
      'skipped',
    ]);
    const refused = await stepsOf(settings, { 'jobs.database': 'wrong' });
    expect(refused?.slice(1)).toEqual(['skipped', 'skipped', 'skipped']);
    expect(['authentication-failed', 'ok']).toContain(refused?.[0]);
  }, 60_000);

  it('is printed by `headway snapshot`', async () => {
    const { url, settings, secrets } = place();
    await using headless = await headlessEngine(url);
    await headless.engine.enqueue([{ tenantId: 'printed', kind: 'mail', payload: null }]);
    const stored =
      settings.type === 'sqlite'
        ? settings
        : { ...settings, database: { ...settings.database, password: { env: 'HEADWAY_TEST_PASSWORD' } } };
    const { stdout, stderr, code } = await headway(['snapshot', '--json', '--config', '-'], {
      stdin: JSON.stringify({ version: 1, connections: [connection({ url, settings: stored, secrets })] }),
      env: { HEADWAY_TEST_PASSWORD: secrets['jobs.database'] ?? '' },
    });
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({
      connections: [
        {
          system: expect.stringContaining('Headway engine on') as string,
          error: null,
          tenants: expect.arrayContaining([expect.objectContaining({ id: 'printed' })]) as unknown[],
        },
      ],
    });
  }, 30_000);
});
