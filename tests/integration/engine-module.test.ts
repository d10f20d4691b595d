// Job modules in threads: what they do, how they die, and that nothing of a thread is left behind.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { JobError } from '../../src/main/engine/workers/handler.ts';
import { ModuleHandler, type ModuleKind } from '../../src/main/engine/workers/handlers/module-handler.ts';
import { ModuleThreads } from '../../src/main/engine/workers/handlers/module-threads.ts';
import { type TempDir, tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { aContext, aJob, fastClock, openHandles } from './engine-handler-fixture.ts';

const clock = fastClock(10);

let folder: TempDir;
let threads: ModuleThreads;
let before: string;
beforeEach(async () => {
  folder = await tempDir('module');
  before = openHandles();
  threads = new ModuleThreads(clock, 4);
});
afterEach(async () => {
  await threads[Symbol.asyncDispose]();
  expect(clock.timers()).toBe(0);
  await until(
    () => openHandles() === before,
    () => `open are ${openHandles()}; before: ${before}`,
    5_000,
  );
  await folder[Symbol.asyncDispose]();
});

const path = (name: string): string => join(folder.path, name);

function handlerOf(file: string, rest: object = {}): ModuleHandler {
  const kind = jobKindSchema.parse({ kind: 'test', handler: { type: 'module', file }, ...rest });
  return new ModuleHandler(kind as typeof kind & ModuleKind, { folder: folder.path, clock, threads });
}

async function moduleOf(source: string, rest: object = {}): Promise<ModuleHandler> {
  await writeFile(path('work.ts'), source);
  return handlerOf('work.ts', rest);
}

async function failureOf(
  handler: ModuleHandler,
  payload: unknown = null,
  signal?: AbortSignal,
): Promise<Error> {
  const error: unknown = await handler.run(aJob(payload), aContext(signal).context).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Error)) throw new Error('a failure was expected', { cause: error });
  return error;
}

describe('a module', () => {
  it('gets its job and names its stages, its progress and its failure', async () => {
    const handler = await moduleOf(`
      interface Job { id: number; payload: { ok: boolean } }
      export default async function (job: Job, { stage, progress }: any): Promise<void> {
        await stage('read', async () => progress(0.5, 'half'));
        await stage('write', async () => { if (!job.payload.ok) throw new TypeError('no account ' + job.id); });
      }`);
    const { context, stages, notes } = aContext();
    await handler.run(aJob({ ok: true }, 7), context);
    expect(stages).toEqual(['load', 'read', 'write']);
    expect(notes).toEqual([{ done: 0.5, note: 'half' }]);
    expect(await failureOf(handler, { ok: false })).toMatchObject({
      name: 'TypeError',
      message: 'no account 1',
    });
  });

  it('may say what kind of failure it was', async () => {
    const handler = await moduleOf(
      `export default () => { throw Object.assign(new Error('slow down'), { class: 'rate-limit', retryAfterMs: 5000 }); }`,
    );
    const error = await failureOf(handler);
    expect(error).toBeInstanceOf(JobError);
    expect(error).toMatchObject({ class: 'rate-limit', retryAfterMs: 5000, message: 'slow down' });
  });

  it('is loaded once and used again, a thread for each job at once', async () => {
    const handler = await moduleOf(`
      import { threadId } from 'node:worker_threads';
      let jobs = 0;
      export default async (job, { progress }) => { jobs += 1; await new Promise((r) => setTimeout(r, 50)); progress(1, threadId + ' ' + jobs); }`);
    const run = async (): Promise<string> => {
      const { context, notes } = aContext();
      await handler.run(aJob(), context);
      return notes.at(-1)?.note ?? '';
    };
    const together = await Promise.all([run(), run()]);
    const threadsUsed = new Set(together.map((note) => note.split(' ')[0]));
    expect(threadsUsed.size).toBe(2);
    const next = await run();
    expect(threadsUsed).toContain(next.split(' ')[0]);
    expect(next.split(' ')[1]).toBe('2');
  });

  it('is loaded anew when its file was changed', async () => {
    const handler = await moduleOf(`export default () => { throw new Error('old'); }`);
    expect((await failureOf(handler)).message).toBe('old');
    await moduleOf(`export default () => { throw new Error('new one'); }`);
    expect((await failureOf(handler)).message).toBe('new one');
  });

  it('that blocks its thread holds up no other job and not this one', async () => {
    const handler = await moduleOf(`
      export default async (job) => {
        if (job.payload !== 'block') return;
        const until = Date.now() + 1500;
        while (Date.now() < until);
      }`);
    const order: string[] = [];
    const blocked = handler.run(aJob('block', 1), aContext().context).then(() => order.push('blocked'));
    await until(() => handler.use(1) !== null);
    for (const id of [2, 3, 4]) {
      await handler.run(aJob('quick', id), aContext().context);
      order.push(`quick ${id}`);
    }
    expect(handler.use(1)).toMatchObject({ pid: null, memoryLimitBytes: 512 * 1024 * 1024 });
    await until(() => (handler.use(1)?.loopDelayMs ?? 0) > 500, 'the blocked loop was not reported');
    await blocked;
    expect(order).toEqual(['quick 2', 'quick 3', 'quick 4', 'blocked']);
  });

  it('waits for a thread while all are busy, and leaves the line when it is aborted', async () => {
    threads.configure(1);
    const handler = await moduleOf(
      `export default async (job) => { await new Promise((r) => setTimeout(r, job.payload)); }`,
    );
    const first = handler.run(aJob(300, 1), aContext().context);
    await until(() => handler.use(1) !== null);
    const second = handler.run(aJob(0, 2), aContext().context);
    const impatient = new AbortController();
    const third = failureOf(handler, 0, impatient.signal);
    impatient.abort(new Error('not now'));
    expect((await third).message).toBe('not now');
    expect(handler.use(2)).toBeNull();
    await Promise.all([first, second]);
  });

  it('of another kind has to make room when the threads are all taken', async () => {
    threads.configure(1);
    await writeFile(path('other.ts'), 'export default () => {}');
    await (await moduleOf('export default () => {}')).run(aJob(), aContext().context);
    await handlerOf('other.ts').run(aJob(), aContext().context);
    await handlerOf('work.ts').run(aJob(), aContext().context);
  });
});

describe('a module that does not load', () => {
  it.each([
    ['export default () => {', 'does not load'],
    ['import "./gone.ts"; export default () => {}', 'gone.ts'],
    ['export const other = 1;', 'its export "default" is no function; it exports other'],
    ['throw new Error("no licence");', 'no licence'],
    ['enum Colour { Red } export default () => Colour.Red;', 'enum'],
  ])('is named with its cause: %s', async (source, expected) => {
    const handler = await moduleOf(source);
    const error = await failureOf(handler);
    expect(error).toMatchObject({ class: 'permanent' });
    expect(error.message).toContain(`the module ${path('work.ts')} does not load: `);
    expect(error.message).toContain(expected);
    expect(await handler.check()).toBe(error.message);
  });

  it('is named when there is no file, and tried again at once when there is', async () => {
    const handler = handlerOf('later.ts');
    expect((await failureOf(handler)).message).toContain('later.ts');
    await writeFile(path('later.ts'), 'export default () => {}');
    await handler.run(aJob(), aContext().context);
    expect(await handler.check()).toBeNull();
  });
});

describe('a module that brings its thread down', () => {
  it.each([
    ['process.exit(3)', 'ended its thread with process.exit(3)'],
    [
      'setTimeout(() => { throw new Error("stray"); }); await new Promise(() => setInterval(() => {}, 1000))',
      'died: stray',
    ],
    [
      'void Promise.reject(new Error("stray")); await new Promise(() => setInterval(() => {}, 1000))',
      'died: stray',
    ],
  ])('fails the job that ran, not the engine: %s', async (source, expected) => {
    const handler = await moduleOf(`export default async (job) => { if (job.payload) { ${source} } }`);
    const error = await failureOf(handler, true);
    expect(error).toMatchObject({ class: 'transient' });
    expect(error.message).toContain(expected);
    const beginMs = clock.now();
    await handler.run(aJob(false), aContext().context);
    // The next thread starts after a while: a module that kills each of its threads must not eat the machine.
    expect(clock.now() - beginMs).toBeGreaterThan(500);
  });

  it('is out of memory at its limit, on the heap and beside it', async () => {
    const memory = { memory: { limitMegabytes: 32 } };
    const heap = await moduleOf(
      'export default () => { const kept = []; for (;;) kept.push({ a: [kept.length] }); }',
      memory,
    );
    const error = await failureOf(heap);
    expect(error).toMatchObject({ class: 'transient' });
    expect(error.message).toContain('ran out of memory: over its limit of 32 MB');
    const buffers = await moduleOf(
      'export default async () => { const kept = []; for (;;) { kept.push(Buffer.alloc(5e6, 1)); await new Promise((r) => setTimeout(r, 20)); } }',
      memory,
    );
    expect((await failureOf(buffers)).message).toContain('ran out of memory');
  });

  it('waits longer for each thread that dies young', async () => {
    const handler = await moduleOf('export default () => process.exit(1)');
    const waits: number[] = [];
    for (let i = 0; i < 4; i++) {
      const beginMs = clock.now();
      await failureOf(handler);
      waits.push(clock.now() - beginMs);
    }
    expect(waits[2]).toBeGreaterThanOrEqual(2_000);
    expect(waits[3]).toBeGreaterThanOrEqual(4_000);
    const stop = new AbortController();
    const waiting = failureOf(handler, null, stop.signal);
    stop.abort(new Error('the engine stops'));
    expect((await waiting).message).toBe('the engine stops');
  });
});

describe('a module whose time is up', () => {
  it('may end by itself, and keeps its thread', async () => {
    const handler = await moduleOf(`
      export default (job, { signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))`);
    const stop = new AbortController();
    const failed = failureOf(handler, null, stop.signal);
    await until(() => handler.use(1) !== null);
    stop.abort(new JobError('timeout', 'the job took longer than 60 s (jobSeconds)'));
    expect(await failed).toMatchObject({ class: 'timeout' });
    expect(
      threads.restarts({ kind: 'test', file: path('work.ts'), export: 'default', limitMegabytes: 512 }),
    ).toBe(0);
  });

  it('is ended with its thread when it goes on, and the next job has another at once', async () => {
    const handler = await moduleOf('export default (job) => { if (job.payload) for (;;); }', {
      timeouts: { jobSeconds: 60, scriptSeconds: 3 },
    });
    const error = await failureOf(handler, true);
    expect(error).toMatchObject({ class: 'timeout' });
    expect(error.message).toBe(`the module ${path('work.ts')} took longer than 3 s (scriptSeconds)`);
    await handler.run(aJob(false), aContext().context);
  });

  it('is ended when its handler is put away', async () => {
    const handler = await moduleOf('export default () => { for (;;); }');
    const failed = failureOf(handler);
    await until(() => handler.use(1) !== null);
    await handler[Symbol.asyncDispose]();
    expect((await failed).message).toContain('was closed');
  });
});

describe('threads without work', () => {
  const threadsNow = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;

  it('are ended after a while, and at once when memory is short', async () => {
    const none = threadsNow();
    const handler = await moduleOf('export default () => {}');
    await handler.run(aJob(), aContext().context);
    expect(threadsNow()).toBeGreaterThan(none);
    handler.recycle();
    await until(() => threadsNow() === none, 'the idle thread was not ended');
    await handler.run(aJob(), aContext().context);
    // 30 s of the fast clock.
    await until(() => threadsNow() === none, 'the idle thread was not ended', 8_000);
  });
});
