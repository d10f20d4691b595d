// `headway worker` as an operator runs it: a process with signals, exit codes and a log.
import { spawn } from 'node:child_process';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { engineReportSchema } from '../../src/contract/engine-report.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import { headwayCommand } from '../harness/headway.ts';
import { type TempDir, tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { headway } from './cli-fixture.ts';
import { kinds, linesOf, startWorker, type WorkerFolder, workerFolder } from './cli-worker-fixture.ts';
import { askServer } from './engine-intake-fixture.ts';

let stack: AsyncDisposableStack;
let dir: TempDir;
let folder: WorkerFolder;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  dir = stack.use(await tempDir('worker'));
  folder = workerFolder(dir.path);
});
afterEach(() => stack.disposeAsync());

const start = async (args: string[], env: NodeJS.ProcessEnv = {}) =>
  stack.use(await startWorker(folder, args, env));
const enqueue = async (...args: string[]) => {
  const finished = await headway(['enqueue', '--store', folder.store, '--tenant', 'a', ...args]);
  expect(finished).toMatchObject({ code: 0, stderr: '' });
};
/** What is stored, when nobody works on it. */
async function stored(): Promise<{ ready: number; running: number; dead: number; attempts: number }> {
  await using store = SqliteStore.open({ file: join(folder.path, 'jobs.db') });
  const { tenants } = await store.depths(0);
  const sum = { ready: 0, running: 0, dead: 0, attempts: 0 };
  for (const tenant of tenants) {
    for (const state of ['ready', 'running', 'dead'] as const) sum[state] += tenant[state].value;
    sum.attempts += tenant.attemptsTotal;
  }
  return sum;
}

describe('headway worker', () => {
  it('runs what was enqueued, tells every attempt, and ends in good order with 0', async () => {
    const module = join(folder.path, 'greet.ts');
    await writeFile(
      module,
      `export default async (job: { payload: { name: string } }, { stage }: { stage: <T>(n: string, p: () => Promise<T>) => Promise<T> }) => {
        await stage('greet', async () => job.payload.name);
      };\n`,
    );
    const jobs = await folder.jobsFile(
      `{ // comments are welcome
        "workers": 2,
        "kinds": [
          ${JSON.stringify(kinds.echo)},
          { "kind": "greet", "handler": { "type": "module", "file": "greet.ts" } },
        ],
      }`,
    );
    await enqueue('--kind', 'echo', '--payload', '{"n":1}', '--jobs', jobs);
    await enqueue('--kind', 'greet', '--payload', '{"name":"you"}', '--jobs', jobs);
    const worker = await start(
      ['--store', folder.store, '--jobs', jobs, '--name', 'first', '--report-every', '0'],
      { HEADWAY_WORKERS: '3' },
    );
    await until(() => linesOf(worker.output(), '[TIMING]').length === 2, worker.output);
    const timing = linesOf(worker.output(), '[TIMING]').toSorted((a, b) =>
      String(a['kind']).localeCompare(String(b['kind'])),
    );
    expect(timing).toMatchObject([
      { kind: 'echo', tenant_id: 'a', status: 'success', attempt: 1 },
      { kind: 'greet', status: 'success', greet_ms: expect.any(Number) as number },
    ]);
    expect(linesOf(worker.output(), '[STATUS]')).toEqual([]);
    process.kill(worker.pid, 'SIGUSR2');
    await until(() => linesOf(worker.output(), '[STATUS]').length === 1, worker.output);
    expect(linesOf(worker.output(), '[STATUS]')[0]).toMatchObject({
      owner: 'first',
      state: 'working',
      workers_active: 3,
      workers_wanted: 3,
      finished: 2,
      failed: 0,
      per_worker: expect.any(Array) as unknown[],
    });
    await worker.stop();
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(worker.output()).toContain('first stops: SIGTERM');
    expect(await stored()).toEqual({ ready: 0, running: 0, dead: 0, attempts: 2 });
  });

  it('gives back what still runs when its time is up, and says so with 4', async () => {
    const jobs = await folder.jobsFile({ workers: 1, stopSeconds: 0.3, kinds: [kinds.nap] });
    for (const payload of ['1', '2']) await enqueue('--kind', 'nap', '--payload', payload);
    const worker = await start(['--store', folder.store, '--jobs', jobs, '--report-every', '1']);
    await until(
      () => linesOf(worker.output(), '[STATUS]').some((line) => line['workers_busy'] === 1),
      worker.output,
    );
    await worker.stop();
    expect(await worker.exited).toEqual({ code: 4, signal: null });
    expect(await stored()).toEqual({ ready: 2, running: 0, dead: 0, attempts: 0 });
  });

  it('ends at once at a second signal, with 1; the next one takes over what it held', async () => {
    const jobs = await folder.jobsFile({ workers: 1, stopSeconds: 600, kinds: [kinds.nap] });
    await enqueue('--kind', 'nap', '--payload', '1');
    const worker = await start(['--store', folder.store, '--jobs', jobs, '--report-every', '1']);
    await until(
      () => linesOf(worker.output(), '[STATUS]').some((line) => line['workers_busy'] === 1),
      worker.output,
    );
    process.kill(worker.pid, 'SIGINT');
    await until(() => worker.output().includes('stops: SIGINT'), worker.output);
    process.kill(worker.pid, 'SIGINT');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    const next = await start(['--store', folder.store, '--jobs', jobs, '--report-every', '1']);
    await until(
      () => linesOf(next.output(), '[STATUS]').some((line) => line['workers_busy'] === 1),
      next.output,
    );
    // Its own stop would wait for the job.
    await next.kill();
  });

  it('takes and hands out jobs over HTTP with a token that only its owner can read', async () => {
    const jobs = await folder.jobsFile({ stopSeconds: 20, kinds: [kinds.echo, kinds.pulled] });
    const worker = await start(['--store', folder.store, '--jobs', jobs, '--http', '127.0.0.1:0']);
    const said = /HTTP intake: http:\/\/127\.0\.0\.1:(\d+), token made in (\S+)/.exec(worker.output());
    const [, port = '', file = ''] = said ?? [];
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const token = (await readFile(file, 'utf8')).trim();
    const post = (path: string, body: unknown) =>
      askServer(Number(port), path, {
        method: 'POST',
        token,
        body: JSON.stringify(body),
        headers: { 'Content-Type': 'application/json' },
      });
    expect((await askServer(Number(port), '/status', { token: 'no' })).status).toBe(401);
    expect((await post('/jobs', { kind: 'echo', tenant: 'b', payload: { n: 1 } })).status).toBe(201);
    await until(() => linesOf(worker.output(), '[TIMING]').length === 1, worker.output);
    expect((await post('/jobs', { kind: 'pulled', tenant: 'b', payload: 2 })).status).toBe(201);
    const { claims } = (await post('/take?n=5', undefined)).json() as {
      claims: { id: number; fence: number }[];
    };
    expect(claims).toMatchObject([{ kind: 'pulled', payload: 2 }]);
    engineReportSchema.parse((await askServer(Number(port), '/status', { token })).json());
    // It waits for what is leased.
    process.kill(worker.pid, 'SIGTERM');
    await until(async () => (await askServer(Number(port), '/health')).status === 503);
    const settlements = claims.map(({ id, fence }) => ({ id, fence, result: 'done' }));
    expect((await post('/settle', { settlements })).json()).toEqual({ taken: [true] });
    expect(await worker.exited).toEqual({ code: 0, signal: null });
    expect(linesOf(worker.output(), '[TIMING]').map(({ kind }) => kind)).toEqual(['echo', 'pulled']);
    expect(await stored()).toEqual({ ready: 0, running: 0, dead: 0, attempts: 2 });
    expect(worker.output()).not.toContain(token);
  });

  it('goes on working when nobody reads its log any more', async () => {
    const jobs = await folder.jobsFile({ kinds: [kinds.echo] });
    await enqueue('--kind', 'echo', '--payload', '1');
    const { command, args } = headwayCommand('worker', '--store', folder.store, '--jobs', jobs);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    stack.defer(() => void child.kill('SIGKILL'));
    child.stdout.destroy();
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await until(async () => {
      try {
        const store = SqliteStore.openReadOnly(join(folder.path, 'jobs.db'));
        await using _ = store;
        return (await store.depths(0)).tenants[0]?.ready.value === 0;
      } catch {
        return false;
      }
    });
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});

describe('headway worker refuses', () => {
  const refusal = async (args: string[], env: NodeJS.ProcessEnv = {}) => {
    const { code, stdout, stderr } = await headway(
      ['worker', '--store', folder.store, '--data', join(folder.path, 'data'), ...args],
      { env },
    );
    expect(stdout).not.toContain(' works on ');
    // Told in words, not as a bug.
    expect(stderr).not.toMatch(/Internal error|\n\s+at /);
    return { code, stderr };
  };
  const echo = { kind: 'echo', handler: kinds.echo.handler };

  it.each<[string, unknown, RegExp]>([
    ['no JSON', '{ "kinds": [ }', /jobs\.json:1:14 value expected/],
    ['an unknown key', { kinds: [{ ...echo, retries: 3 }] }, /kinds\[0\]\.retries: unknown key/],
    [
      'an unknown handler',
      { kinds: [{ kind: 'x', handler: { type: 'shell', command: 'ls' } }] },
      /kinds\[0\]\.handler/,
    ],
    [
      'kinds that wait for each other',
      {
        kinds: [
          { ...echo, kind: 'a', dependsOn: ['b'] },
          { ...echo, kind: 'b', dependsOn: ['a'] },
        ],
      },
      /kinds wait for each other: a → b → a/,
    ],
    ['a parent that is not declared', { kinds: [{ ...echo, dependsOn: ['b'] }] }, /there is no kind "b"/],
    [
      'a program that is not there',
      { kinds: [{ kind: 'x', handler: { type: 'command', command: ['no-such-program'] } }] },
      /kind "x" cannot run: there is no program "no-such-program"/,
    ],
    [
      'a module that is not there',
      { kinds: [{ kind: 'x', handler: { type: 'module', file: 'none.ts' } }] },
      /kind "x" cannot run: .*none\.ts/,
    ],
    ['pulled jobs without --http', { kinds: [kinds.pulled] }, /"pull" \(pulled\) need --http/],
  ])('%s, with 2', async (_, settings, words) => {
    const { code, stderr } = await refusal(['--jobs', await folder.jobsFile(settings)]);
    expect(stderr).toMatch(words);
    expect(code).toBe(2);
  });

  it('a program that is not executable and a module that does not load, both named at once', async () => {
    await writeFile(join(folder.path, 'script.sh'), '#!/bin/sh\n', { mode: 0o644 });
    await writeFile(join(folder.path, 'broken.ts'), 'export default (;\n');
    const jobs = await folder.jobsFile({
      kinds: [
        { kind: 'script', handler: { type: 'command', command: ['./script.sh'] } },
        { kind: 'module', handler: { type: 'module', file: 'broken.ts' } },
      ],
    });
    const { code, stderr } = await refusal(['--jobs', jobs]);
    expect(stderr).toMatch(/kind "script" cannot run: .*script\.sh is not executable/);
    expect(stderr).toMatch(/kind "module" cannot run: .*broken\.ts/);
    expect(code).toBe(2);
  });

  it('limits that nobody would keep for pulled jobs', async () => {
    const jobs = await folder.jobsFile({ kinds: [{ ...kinds.pulled, rate: { starts: 1, perSeconds: 1 } }] });
    const { code, stderr } = await refusal(['--jobs', jobs, '--http', '127.0.0.1:0']);
    expect(stderr).toContain('kind "pulled": rate cannot be kept');
    expect(code).toBe(2);
  });

  it('what is wrong with its options, with 2', async () => {
    const jobs = await folder.jobsFile({ kinds: [echo] });
    for (const [args, env, words] of [
      [['--jobs', join(folder.path, 'none.json')], {}, 'There is no jobs file'],
      [['--jobs', jobs, '--workers', '0'], {}, 'use a whole number from 1 to 512'],
      [['--jobs', jobs], { HEADWAY_WORKERS: 'many' }, 'HEADWAY_WORKERS=many'],
      [['--jobs', jobs, '--http', 'localhost'], {}, 'write HOST:PORT'],
      [['--jobs', jobs, '--http', '0.0.0.0:0'], {}, 'can be reached by other computers'],
      [['--jobs', jobs, '--store', 'redis://x'], {}, 'begins with redis:'],
      [[], {}, "required option '--jobs <file>' not specified"],
    ] as [string[], NodeJS.ProcessEnv, string][]) {
      const { code, stderr } = await refusal(args, env);
      expect(stderr).toContain(words);
      expect([args, code]).toEqual([args, 2]);
    }
  });

  it('a token file that others can read, and one that holds no token', async () => {
    const jobs = await folder.jobsFile({ kinds: [echo] });
    const file = join(folder.path, 'token');
    const args = ['--jobs', jobs, '--http', '127.0.0.1:0', '--token-file', file];
    await writeFile(file, 'a-long-enough-token-for-all\n', { mode: 0o644 });
    expect(await refusal(args)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('chmod 600') as string,
    });
    await writeFile(file, 'short\n');
    await chmod(file, 0o600);
    expect(await refusal(args)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('at least 16 characters') as string,
    });
  });

  it('a port that is in use, with 2', async () => {
    const jobs = await folder.jobsFile({ kinds: [echo] });
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    stack.defer(() => void other.close());
    const address = other.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const { code, stderr } = await refusal(['--jobs', jobs, '--http', `127.0.0.1:${port}`]);
    expect(stderr).toContain(`Port ${port} of 127.0.0.1 is in use`);
    expect(code).toBe(2);
  });

  it('a store that it cannot use, with 3', async () => {
    const jobs = await folder.jobsFile({ kinds: [echo] });
    const file = join(folder.path, 'jobs.db');
    const refused = async (words: RegExp, ...args: string[]) => {
      const { code, stderr } = await refusal(['--jobs', jobs, ...args]);
      expect(stderr).toMatch(words);
      expect(code).toBe(3);
    };
    await refused(/nowhere.*jobs\.db/, '--store', `sqlite:${join(folder.path, 'nowhere', 'jobs.db')}`);
    await refused(/127\.0\.0\.1:1/, '--store', 'postgres://jobs@127.0.0.1:1/jobs');
    await refused(/127\.0\.0\.1:1/, '--store', 'mysql://jobs@127.0.0.1:1/jobs');
    await writeFile(file, 'not a database, but long enough to be looked at as one '.repeat(20));
    await refused(/jobs\.db.*no SQLite file/s);
    await writeFile(file, '');
    using other = new DatabaseSync(file);
    other.exec('CREATE TABLE customer (id INTEGER)');
    other.close();
    await refused(/jobs\.db/);
    await writeFile(file, '');
    await SqliteStore.open({ file })[Symbol.asyncDispose]();
    const newer = new DatabaseSync(file);
    newer.exec('PRAGMA user_version = 9999');
    newer.close();
    await refused(/jobs\.db.*newer/s);
  });

  it('a SQLite file that another engine works on, with 3', async () => {
    const jobs = await folder.jobsFile({ kinds: [echo] });
    await start(['--store', folder.store, '--jobs', jobs]);
    const { code, stderr } = await refusal(['--jobs', jobs]);
    expect(stderr).toContain('Another engine works on');
    expect(code).toBe(3);
  });
});
