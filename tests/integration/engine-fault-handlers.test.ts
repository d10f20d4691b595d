// Jobs that are programs, calls and modules, run by the engine itself: every way of failing gets its word, everything is
// tried again as its class says, and whoever is killed leaves nothing behind (incident 3).
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryStore } from '../../src/main/engine/stores/memory-store.ts';
import { SqliteStore } from '../../src/main/engine/stores/sqlite-store.ts';
import { startProcess } from '../harness/process.ts';
import { type TempDir, tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { anEngine, jobOf } from './engine-fault-fixture.ts';
import { aMark, openHandles } from './engine-handler-fixture.ts';

let folder: TempDir;
let mark: ReturnType<typeof aMark>;
let before: string;
beforeEach(async () => {
  folder = await tempDir('fault');
  mark = aMark();
  before = openHandles();
});
afterEach(async () => {
  expect(mark.pids()).toEqual([]);
  await until(
    () => openHandles() === before,
    () => `open are ${openHandles()}; before: ${before}`,
    5_000,
  );
  await folder[Symbol.asyncDispose]();
});

const sh = (script: string, rest: object = {}): object => ({
  handler: { type: 'command', command: ['/bin/sh', '-c', script], env: mark.env, ...rest },
});

describe('an engine with programs that misbehave', () => {
  it('gives each its word, runs the good ones beside them, and leaves nothing', async () => {
    const once = { retry: { maxAttempts: 1 } };
    const brief = { timeouts: { jobSeconds: 20, scriptSeconds: 1 } };
    const kinds = {
      good: sh('cat > /dev/null; echo "{}"', { output: 'json' }),
      forks: { ...sh('for i in 1 2 3; do sleep 1000 & done; exit 3'), ...once },
      deaf: { ...sh('trap "" TERM; sleep 1000 & sleep 1000; sleep 1000'), ...once, ...brief },
      floods: { ...sh('yes', { output: 'json' }), ...once },
      closes: { ...sh('exec 0<&- 1>&- 2>&-; exit 4'), ...once },
      silent: { ...sh('true', { output: 'json' }), ...once },
      broken: { ...sh('echo "{\\"a\\":"', { output: 'json' }), ...once },
      sleeps: { ...sh('sleep 1000'), ...once, ...brief },
      grows: {
        ...sh(
          `exec "${process.execPath}" -e "const kept = Buffer.alloc(2e8, 1); setInterval(() => kept[0], 100)"`,
        ),
        ...once,
        memory: { limitMegabytes: 100 },
      },
      gone: { handler: { type: 'command', command: ['./gone'] }, ...once },
    };
    await using it = anEngine(new MemoryStore(), folder.path, kinds, 6);
    const bad = Object.keys(kinds).filter((kind) => kind !== 'good');
    await it.engine.enqueue([
      ...bad.map((kind) => jobOf(kind)),
      ...Array.from({ length: 30 }, (_, i) => jobOf('good', { i, text: 'x'.repeat(100_000) })),
    ]);
    await it.engine.start();
    await until(
      () => it.attempts.length === bad.length + 30,
      () => `ended: ${it.attempts.length}`,
      40_000,
    );
    await it.engine.stop(0);
    const failures = Object.fromEntries(bad.map((kind) => [kind, it.of(kind).map(({ failure }) => failure)]));
    const failed = (errorClass: string, words: string) => [
      { class: errorClass, message: expect.stringContaining(words) as string },
    ];
    expect(failures).toMatchObject({
      forks: failed('transient', 'ended with code 3'),
      deaf: failed('timeout', '1 s (scriptSeconds)'),
      floods: failed('permanent', 'more than 1 MB'),
      closes: failed('transient', 'ended with code 4'),
      silent: failed('transient', 'wrote nothing'),
      broken: failed('transient', 'is no JSON'),
      sleeps: failed('timeout', '1 s (scriptSeconds)'),
      grows: failed('permanent', 'over its limit of 100 MB'),
      gone: failed('transient', 'there is no program'),
    });
    expect(it.of('good').filter(({ failure }) => failure !== null)).toEqual([]);
    expect(it.problems).toEqual([]);
  });

  it('tries a job again whose program was killed', async () => {
    await using it = anEngine(new MemoryStore(), folder.path, {
      work: sh('test -e second && exit 0; touch second; sleep 1000 & sleep 1000; :'),
    });
    await it.engine.start();
    const [job] = await it.engine.enqueue([jobOf('work')]);
    await until(() => mark.pids().length >= 3, 'the program did not start');
    const { pid } = it.engine.report().workers.find(({ job: running }) => running?.id === job?.id)?.job ?? {};
    process.kill(pid ?? 0, 'SIGKILL');
    await until(
      () => it.attempts.length === 2,
      () => `ended: ${it.attempts.length}`,
    );
    expect(it.attempts.map(({ failure }) => failure?.message ?? null)).toEqual([
      '"sh" was killed by SIGKILL',
      null,
    ]);
  });

  it('gives back what runs when it stops, and the programs are gone', async () => {
    const running = anEngine(new MemoryStore(), folder.path, { work: sh('sleep 1000 & sleep 1000; :') }, 4);
    await running.engine.start();
    await running.engine.enqueue(Array.from({ length: 10 }, () => jobOf('work')));
    await until(() => mark.pids().length >= 12, 'the programs did not start');
    await running.engine.stop(0);
    const { tenants } = await running.store.depths(0);
    expect(tenants[0]).toMatchObject({ ready: { value: 10 }, running: { value: 0 } });
    await running[Symbol.asyncDispose]();
    expect(mark.pids()).toEqual([]);
  });
});

describe('an engine with modules that misbehave', () => {
  it('judges each death, restarts the threads, and runs the good ones beside them', async () => {
    const modules = {
      good: 'export default async (job, { stage }) => { await stage("work", () => new Promise((r) => setTimeout(r, 5))); }',
      exits: 'export default () => process.exit(1)',
      spins: 'export default () => { for (;;); }',
      eats: 'export default () => { const kept = []; for (;;) kept.push({ a: [kept.length] }); }',
      broken: 'export default () => {',
      dozes: 'let known = false; export default (job) => { if (job.attempt === 1) process.exit(1); }',
    };
    const kinds: Record<string, object> = {};
    for (const [name, source] of Object.entries(modules)) {
      await writeFile(join(folder.path, `${name}.js`), source);
      kinds[name] = {
        handler: { type: 'module', file: `${name}.js` },
        retry: { maxAttempts: name === 'dozes' ? 2 : 1 },
        memory: { limitMegabytes: 32 },
        timeouts: { jobSeconds: 30, ...(name === 'spins' && { scriptSeconds: 1 }) },
      };
    }
    await using it = anEngine(new MemoryStore(), folder.path, kinds, 6);
    await it.engine.enqueue([
      ...['exits', 'spins', 'eats', 'broken', 'dozes'].map((kind) => jobOf(kind)),
      ...Array.from({ length: 50 }, () => jobOf('good')),
    ]);
    await it.engine.start();
    await until(
      () => it.attempts.length === 56,
      () => `ended: ${it.attempts.length}`,
      40_000,
    );
    const failureOf = (kind: string) => it.of(kind).map(({ failure }) => failure?.class ?? 'done');
    expect(['exits', 'spins', 'eats', 'broken', 'dozes'].map(failureOf)).toEqual([
      ['transient'],
      ['timeout'],
      ['transient'],
      ['permanent'],
      ['transient', 'done'],
    ]);
    const good = it.of('good').map(({ failure, stages }) => [failure, 'work' in stages]);
    expect(good).toEqual(Array.from({ length: 50 }, () => [null, true]));
  });
});

describe('kill -9 of an engine that runs programs', () => {
  it('ends its programs; the next engine does every job', async () => {
    const jobs = 40;
    const open = () => SqliteStore.open({ file: join(folder.path, 'engine.db') });
    {
      await using store = open();
      await store.enqueue(
        Array.from({ length: jobs }, (_, i) => jobOf('work', i)),
        Date.now(),
      );
    }
    const engine = () =>
      startProcess({
        command: process.execPath,
        args: [
          '--disable-warning=ExperimentalWarning',
          join(import.meta.dirname, 'engine-fault-child.ts'),
          folder.path,
          `${mark.name}=${mark.value}`,
        ],
        ready: ({ output }) => output.includes('started'),
      });
    const done = async (): Promise<number[]> => {
      const text = await readFile(join(folder.path, 'done.txt'), 'utf8').catch(() => '');
      return text.split('\n').filter(Boolean).map(Number);
    };
    for (let life = 1; life <= 3; life++) {
      await using child = await engine();
      await until(async () => (await done()).length >= life * 6, child.output);
      await child.kill('SIGKILL');
    }
    // The dead engines' programs end with them, whether or not anybody works here again.
    await until(
      () => mark.pids().length === 0,
      () => `left: ${mark.pids().join(' ')}`,
    );
    await using last = await engine();
    await until(async () => new Set(await done()).size === jobs, last.output, 30_000);
    // Asked to stop, it lets what runs finish or gives it back; what is given back was done before all the same.
    await last.stop();
    await using store = open();
    const { tenants } = await store.depths(0);
    for (const { dead, running } of tenants) expect([dead.value, running.value]).toEqual([0, 0]);
    expect((await done()).length).toBeLessThan(jobs + 3 * 8 + 1);
  });
});
