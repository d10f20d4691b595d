// The threads in which job modules run: one for each job that runs, kept for a while for the next of its kind, started
// again with patience when they die. Their number is bounded by the number of workers.
import { stat } from 'node:fs/promises';
import type { Clock } from '../../clock.ts';
import { JobError } from '../handler.ts';
import { ModuleRunner, type ModuleSpec } from './module-runner.ts';

/** A thread without work is ended after this long. */
const IDLE_MS = 30_000;
/** Between the death of a thread and its next start, doubled each time one dies young. */
const RESTART_MS = { first: 1_000, longest: 30_000 };
const YOUNG_MS = 60_000;

interface Idle {
  runner: ModuleRunner;
  stamp: string;
  takeBack: () => void;
}

/** What befell the threads of one module. */
interface Past {
  restarts: number;
  deaths: number;
  notBeforeMs: number;
  /** The module did not load, and has not changed since. */
  unloadable: { stamp: string; error: JobError } | null;
}

export class ModuleThreads implements AsyncDisposable {
  readonly #clock: Clock;
  #maximum: number;
  readonly #idle = new Map<string, Idle[]>();
  readonly #busy = new Map<ModuleRunner, { stamp: string; recycled: boolean }>();
  readonly #past = new Map<string, Past>();
  /** Every thread that is not gone. */
  readonly #all = new Set<ModuleRunner>();
  /** Called when a thread has become free or has gone. */
  #waiting: (() => void)[] = [];
  #closed = false;

  /** `maximum` threads at once, beside those that are just being ended. */
  constructor(clock: Clock, maximum: number) {
    this.#clock = clock;
    this.#maximum = maximum;
  }

  /** More count at once; fewer let what runs finish. */
  configure(maximum: number): void {
    this.#maximum = maximum;
    this.#wakeAll();
  }

  /** A thread that has the module loaded and nothing to do; null when there is none. Give it back with `release`. */
  async takeIdle(spec: ModuleSpec): Promise<ModuleRunner | null> {
    const stamp = await stampOf(spec.file);
    const idle = this.#idle.get(keyOf(spec)) ?? [];
    for (let last = idle.pop(); last; last = idle.pop()) {
      last.takeBack();
      // The file was changed: a thread keeps what it has once loaded.
      if (last.stamp !== stamp) this.#end(last.runner, 'its module was changed');
      else if (!last.runner.ending) {
        this.#busy.set(last.runner, { stamp, recycled: false });
        return last.runner;
      }
    }
    return null;
  }

  /**
   * A thread with the module loaded: an idle one or a new one. Waits while all are busy, and after a death for the
   * restart. Rejects with a JobError when the module does not load; with the signal's reason when that aborts.
   */
  async take(spec: ModuleSpec, signal: AbortSignal): Promise<ModuleRunner> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#closed) throw new JobError('transient', 'the threads of job modules were closed');
      const runner = await this.takeIdle(spec);
      if (runner) return runner;
      const waitMs = await this.#restartIn(spec);
      if (waitMs > 0) await this.#wait(signal, waitMs);
      else if (this.#living() >= this.#maximum && !this.#endOneIdle()) await this.#wait(signal, null);
      else return this.#start(spec, signal);
    }
  }

  /** The job has ended. `well`: it was done. A thread that died or is to go is not kept. */
  release(runner: ModuleRunner, well: boolean): void {
    const held = this.#busy.get(runner);
    this.#busy.delete(runner);
    if (held && this.#all.has(runner) && !runner.ending) {
      if (well) this.#pastOf(runner.spec).deaths = 0;
      if (held.recycled || this.#closed) this.#end(runner, 'memory is short');
      else this.#keep(runner, held.stamp);
    }
    this.#wakeAll();
  }

  /** How often a thread of the module was started again. */
  restarts(spec: ModuleSpec): number {
    return this.#past.get(keyOf(spec))?.restarts ?? 0;
  }

  /** Memory is short: idle threads end now, busy ones after their job. */
  recycle(): void {
    while (this.#endOneIdle());
    for (const held of this.#busy.values()) held.recycled = true;
  }

  /** Ends all threads at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#wakeAll();
    while (this.#endOneIdle());
    const why = new JobError('transient', 'the threads of job modules were closed');
    await Promise.all([...this.#all].map((runner) => runner.end(why)));
  }

  async #start(spec: ModuleSpec, signal: AbortSignal): Promise<ModuleRunner> {
    const runner = new ModuleRunner(spec, this.#clock);
    this.#all.add(runner);
    const held = { stamp: '', recycled: false };
    this.#busy.set(runner, held);
    void runner.gone.then(() => this.#onGone(runner));
    held.stamp = await stampOf(spec.file);
    const onAbort = (): void => this.#end(runner, 'its job was aborted');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await runner.loaded;
      return runner;
    } catch (error) {
      this.release(runner, false);
      signal.throwIfAborted();
      if (error instanceof JobError && error.class === 'permanent') {
        const past = this.#pastOf(spec);
        past.unloadable = { stamp: held.stamp, error };
        this.#postpone(past);
      }
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Ms until a thread of the module may be started. Throws when it is known not to load. */
  async #restartIn(spec: ModuleSpec): Promise<number> {
    const past = this.#past.get(keyOf(spec));
    const waitMs = (past?.notBeforeMs ?? 0) - this.#clock.now();
    if (!past?.unloadable || waitMs <= 0) return waitMs;
    // A file that was changed is tried at once.
    if (past.unloadable.stamp !== (await stampOf(spec.file))) return 0;
    throw past.unloadable.error;
  }

  #onGone(runner: ModuleRunner): void {
    this.#all.delete(runner);
    const idle = this.#idle.get(keyOf(runner.spec));
    const at = idle?.findIndex((each) => each.runner === runner) ?? -1;
    if (at >= 0) idle?.splice(at, 1)[0]?.takeBack();
    if (!runner.ending) {
      const past = this.#pastOf(runner.spec);
      if (this.#clock.now() - runner.bornAtMs >= YOUNG_MS) past.deaths = 0;
      past.unloadable = null;
      past.restarts += 1;
      this.#postpone(past);
    }
    this.#wakeAll();
  }

  #postpone(past: Past): void {
    past.notBeforeMs = this.#clock.now() + Math.min(RESTART_MS.longest, RESTART_MS.first * 2 ** past.deaths);
    past.deaths += 1;
  }

  #keep(runner: ModuleRunner, stamp: string): void {
    const key = keyOf(runner.spec);
    const takeBack = this.#clock.after(IDLE_MS, () => {
      const idle = this.#idle.get(key);
      idle?.splice(
        idle.findIndex((each) => each.runner === runner),
        1,
      );
      this.#end(runner, 'it had nothing to do');
    });
    const idle = this.#idle.get(key);
    if (idle) idle.push({ runner, stamp, takeBack });
    else this.#idle.set(key, [{ runner, stamp, takeBack }]);
  }

  /** Of any module, the one that has waited longest there. */
  #endOneIdle(): boolean {
    for (const idle of this.#idle.values()) {
      const first = idle.shift();
      if (!first) continue;
      first.takeBack();
      this.#end(first.runner, 'its place was needed');
      return true;
    }
    return false;
  }

  #end(runner: ModuleRunner, why: string): void {
    void runner.end(new JobError('transient', `the thread of ${runner.spec.file} was ended: ${why}`));
  }

  #living(): number {
    return [...this.#all].filter((runner) => !runner.ending).length;
  }

  #pastOf(spec: ModuleSpec): Past {
    const key = keyOf(spec);
    const past = this.#past.get(key) ?? { restarts: 0, deaths: 0, notBeforeMs: 0, unloadable: null };
    this.#past.set(key, past);
    return past;
  }

  /** Until a thread becomes free or goes, at most `ms`; rejects with the signal's reason. */
  async #wait(signal: AbortSignal, ms: number | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = (): void => resolve(undefined);
    this.#waiting.push(wake);
    signal.addEventListener('abort', wake, { once: true });
    const takeBack = ms === null ? null : this.#clock.after(ms, wake);
    await promise;
    takeBack?.();
    signal.removeEventListener('abort', wake);
    this.#waiting = this.#waiting.filter((each) => each !== wake);
    signal.throwIfAborted();
  }

  #wakeAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

const keyOf = ({ file, export: name, limitMegabytes }: ModuleSpec): string =>
  `${file}\n${name}\n${limitMegabytes}`;

/** Changes when the file does; empty when it cannot be read, which loading it will tell. */
const stampOf = (file: string): Promise<string> =>
  stat(file).then(
    ({ mtimeMs, size }) => `${mtimeMs} ${size}`,
    () => '',
  );
