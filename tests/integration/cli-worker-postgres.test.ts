// Headless workers on one PostgreSQL: names, enqueueing beside them, and a password that stands in no argument.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Postgres, startPostgres } from '../harness/postgres.ts';
import { type TempDir, tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { headway } from './cli-fixture.ts';
import { kinds, linesOf, startWorker, workerFolder } from './cli-worker-fixture.ts';

const stack = new AsyncDisposableStack();
let db: Postgres;
let dir: TempDir;
beforeAll(async () => {
  db = stack.use(await startPostgres());
  dir = stack.use(await tempDir('worker-pg'));
});
afterAll(() => stack.disposeAsync());

describe('headway worker on PostgreSQL', () => {
  it('shares its store with others of other names, and with enqueue', async () => {
    const folder = workerFolder(dir.path);
    const jobs = await folder.jobsFile({ workers: 2, kinds: [kinds.echo] });
    const store = ['--store', `postgres://${db.user}@${db.host}:${db.port}/postgres`];
    const env = { HEADWAY_STORE_PASSWORD: db.password };
    await using first = await startWorker(folder, [...store, '--jobs', jobs, '--name', 'one'], env);
    await using second = await startWorker(folder, [...store, '--jobs', jobs, '--name', 'two'], env);
    const twin = await headway(['worker', ...store, '--jobs', jobs, '--name', 'one'], { env });
    expect(twin).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/engine called "one" works on PostgreSQL .* already/) as string,
    });

    const rows = Array.from({ length: 200 }, (_, i) =>
      JSON.stringify({ tenant: `t${i % 7}`, payload: i }),
    ).join('\n');
    const enqueued = await headway(['enqueue', ...store, '--kind', 'echo', '--jobs', jobs], {
      env,
      stdin: rows,
    });
    expect(enqueued).toMatchObject({ code: 0, stderr: '' });
    expect(enqueued.stdout.trimEnd().split('\n')).toHaveLength(200);
    const done = () =>
      [first, second].flatMap((worker) => linesOf(worker.output(), '[TIMING]').map((line) => line['job_id']));
    await until(
      () => new Set(done()).size === 200,
      () => `${done().length} jobs were done`,
      40_000,
    );
    // Nobody did anything twice.
    expect(done()).toHaveLength(200);
    for (const worker of [first, second]) {
      await worker.stop();
      expect(await worker.exited).toEqual({ code: 0, signal: null });
    }
    // Its name is free again: it left in good order.
    await using again = await startWorker(folder, [...store, '--jobs', jobs, '--name', 'one'], env);
    await again.stop();
  });
});
