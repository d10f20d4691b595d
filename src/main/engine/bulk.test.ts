import { describe, expect, it } from 'vitest';
import { jobKindSchema } from '../../contract/job-kinds.ts';
import type { EngineAdmin } from './admin.ts';
import { BULK_KIND, Bulks } from './bulk.ts';
import { Engine } from './engine.ts';
import type { EngineKind } from './engine-parts.ts';
import { LocalEngineAdmin } from './local-engine-admin.ts';
import { MemoryStore } from './stores/memory-store.ts';
import { VirtualClock } from './virtual-clock.ts';
import { JobError } from './workers/handler.ts';

/** A store in whose midst something happens. */
class StoreWithHooks extends MemoryStore {
  /** Called once, when a batch has been requeued. */
  onRequeued: (() => unknown) | null = null;
  isFull = false;

  override async requeue(...args: Parameters<MemoryStore['requeue']>): Promise<number> {
    const changed = await super.requeue(...args);
    const then = this.onRequeued;
    this.onRequeued = null;
    then?.();
    return changed;
  }

  override discard(...args: Parameters<MemoryStore['discard']>): Promise<number> {
    return this.isFull ? Promise.reject(new Error('the disk is full')) : super.discard(...args);
  }
}

/** An engine on a store with dead jobs, whose jobs fail while `isBroken`. */
class Broken {
  readonly clock = new VirtualClock();
  readonly store = new StoreWithHooks(() => this.clock.now());
  isBroken = true;
  bulks!: Bulks;
  engine!: Engine;
  admin!: EngineAdmin;

  /** Another engine takes over, as after a restart of the application. */
  async start(): Promise<void> {
    this.bulks = new Bulks(this.store, () => this.engine.wake());
    const { clock, store, bulks } = this;
    const parts = {
      store,
      clock,
      owner: `engine at ${clock.now()}`,
      random: () => 0.5,
      memory: () => ({ rssBytes: 0, limitBytes: 1 }),
      onAttempt: () => undefined,
      onProblem: (problem: Error) => expect.fail(problem.message),
    };
    this.engine = new Engine(parts, [this.#kind('send'), this.#kind('print'), bulks.kind], {
      workers: 4,
      order: 'fair',
      tenants: {},
    });
    this.admin = new LocalEngineAdmin({ engine: this.engine, store, bulks, redactOf: () => [] });
    await this.engine.start();
  }

  async die(count: number, kind = 'send', tenantId = 'a'): Promise<void> {
    await this.engine.enqueue(Array.from({ length: count }, () => ({ tenantId, kind, payload: {} })));
    await this.clock.advance(1_000);
  }

  async dead(): Promise<number> {
    const { tenants } = await this.store.depths(0);
    return tenants.reduce((sum, { dead }) => sum + dead.value, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.stop(0);
    expect(this.clock.pending).toBe(0);
  }

  #kind(kind: string): EngineKind {
    const policy = jobKindSchema.omit({ handler: true }).parse({ kind });
    const run = (): Promise<void> =>
      this.isBroken ? Promise.reject(new JobError('permanent', 'no such mailbox')) : Promise.resolve();
    return { policy, handler: { kind, runsIn: 'engine', run } };
  }
}

async function broken(): Promise<Broken> {
  const it = new Broken();
  await it.start();
  return it;
}

describe('long operations', () => {
  it('requeue what is dead, in batches, and are listed with how far they are', async () => {
    await using run = await broken();
    await run.die(450);
    await run.die(30, 'print');
    run.isBroken = false;
    const jobId = await run.admin.bulk('requeue', { kind: 'send' });
    await run.clock.advance(1_000);
    expect(await run.dead()).toBe(30);
    expect((await run.admin.view(new AbortController().signal)).bulks).toEqual([
      {
        jobId,
        what: 'requeue',
        filter: { kind: 'send' },
        state: 'done',
        changed: 450,
        startedAtMs: expect.any(Number) as number,
        error: null,
      },
    ]);
    expect(run.engine.report().kinds.find(({ kind }) => kind === BULK_KIND)?.running).toBe(0);
  });

  it('requeue each job once, though it dies again at once', async () => {
    await using run = await broken();
    await run.die(250);
    await run.admin.bulk('requeue', {});
    await run.clock.advance(5_000);
    expect(await run.dead()).toBe(250);
    expect(run.bulks.list()).toMatchObject([{ state: 'done', changed: 250 }]);
  });

  it('discard, and leave alone what dies later', async () => {
    await using run = await broken();
    await run.die(3, 'send', 'a');
    await run.die(2, 'send', 'b');
    const job = await run.bulks.job('discard', { tenantId: 'a' });
    await run.clock.advance(1);
    await run.die(4, 'send', 'a');
    await run.engine.enqueue([job]);
    await run.clock.advance(1_000);
    expect(await run.dead()).toBe(6);
  });

  it('release and cancel what a dead job blocks', async () => {
    await using run = await broken();
    const family = (tenantId: string) =>
      run.engine.enqueue([
        { tenantId, kind: 'send', payload: {} },
        { tenantId, kind: 'print', payload: {}, dependsOn: [{ row: 0 }] },
      ]);
    await family('a');
    await family('b');
    await run.clock.advance(1_000);
    expect(await run.store.blockedJobs({}, 0, 10)).toHaveLength(2);
    await run.admin.bulk('cancel', { tenantId: 'a' });
    await run.clock.advance(1_000);
    expect(await run.dead()).toBe(3);
    run.isBroken = false;
    await run.admin.bulk('release', {});
    await run.clock.advance(1_000);
    expect(await run.store.blockedJobs({}, 0, 10)).toEqual([]);
    expect(await run.dead()).toBe(3);
  });

  it('stay stopped when they are stopped, before they begin and while they run', async () => {
    await using run = await broken();
    await run.die(500);
    run.isBroken = false;
    await run.engine.hold({ tenantId: null, kind: null, mode: 'pause', by: 'ada', reason: '', sinceMs: 0 });
    const waiting = await run.admin.bulk('requeue', {});
    expect(run.bulks.list()).toMatchObject([{ jobId: waiting, state: 'waiting' }]);
    await run.admin.stopBulk(waiting);
    await run.engine.unhold({ tenantId: null, kind: null });
    await run.clock.advance(10_000);
    expect(run.bulks.list()).toMatchObject([{ jobId: waiting, state: 'stopped', changed: 0 }]);
    expect(await run.dead()).toBe(500);

    run.store.onRequeued = () => run.admin.stopBulk(running);
    const running = await run.admin.bulk('requeue', {});
    await run.clock.advance(60_000);
    expect(run.bulks.list()[0]).toMatchObject({ jobId: running, state: 'stopped', changed: 200 });
    expect(await run.dead()).toBe(300);
    expect(await run.store.job(running)).toBeNull();
    await expect(run.admin.stopBulk(99_999)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('go on after the engine was stopped in their midst', async () => {
    await using run = await broken();
    await run.die(500);
    run.isBroken = false;
    run.store.onRequeued = () => run.engine.stop(0);
    const jobId = await run.admin.bulk('requeue', {});
    await run.clock.advance(1_000);
    expect(await run.dead()).toBe(300);
    expect(run.bulks.list()).toMatchObject([{ state: 'waiting', error: null }]);
    await run.start();
    await run.clock.advance(1_000);
    expect(await run.dead()).toBe(0);
    expect(run.bulks.list()).toMatchObject([{ jobId, state: 'done', changed: 300 }]);
  });

  it('say why they failed, and are tried again', async () => {
    await using run = await broken();
    await run.die(5);
    run.isBroken = false;
    run.store.isFull = true;
    await run.admin.bulk('discard', {});
    await run.clock.advance(0);
    expect(run.bulks.list()).toMatchObject([{ state: 'waiting', error: 'the disk is full' }]);
    run.store.isFull = false;
    await run.clock.advance(600_000);
    expect(run.bulks.list()).toMatchObject([{ state: 'done', changed: 5, error: null }]);
  });

  it('refuse a payload that is none of theirs', async () => {
    await using run = await broken();
    await run.engine.enqueue([{ tenantId: 'a', kind: BULK_KIND, payload: { what: 'explode' } }]);
    await run.clock.advance(1_000);
    expect(await run.store.deadGroups(10)).toMatchObject([{ kind: BULK_KIND, class: 'permanent' }]);
  });
});
