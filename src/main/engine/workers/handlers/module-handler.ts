// Jobs that are functions of a module: run in threads of their own kind, so that neither their work nor their end
// touches the engine.
import { resolve } from 'node:path';
import type { HandlerSettings, JobKind } from '../../../../contract/job-kinds.ts';
import type { Clock } from '../../clock.ts';
import { type Handler, type HandlerContext, type HandlerJob, type HandlerUse, JobError } from '../handler.ts';
import { deadline } from './deadline.ts';
import type { ModuleRunner, ModuleSpec } from './module-runner.ts';
import type { ModuleThreads } from './module-threads.ts';

/** For loading a module to see whether it does. */
const CHECK_SECONDS = 30;
const MEGABYTE = 1024 * 1024;

type ModuleSettings = Extract<HandlerSettings, { type: 'module' }>;
export type ModuleKind = Pick<JobKind, 'kind' | 'timeouts' | 'memory'> & { handler: ModuleSettings };

export interface ModuleParts {
  /** Of the file that declares the kind: relative paths start here. */
  folder: string;
  clock: Clock;
  threads: ModuleThreads;
}

export class ModuleHandler implements Handler {
  readonly kind: string;
  readonly runsIn = 'thread';
  readonly #scriptSeconds: number | undefined;
  readonly #spec: ModuleSpec;
  readonly #parts: ModuleParts;
  readonly #runners = new Map<number, ModuleRunner>();
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor({ kind, handler, timeouts, memory }: ModuleKind, parts: ModuleParts) {
    this.kind = kind;
    this.#scriptSeconds = timeouts.scriptSeconds;
    this.#parts = parts;
    this.#spec = {
      kind,
      file: resolve(parts.folder, handler.file),
      export: handler.export,
      limitMegabytes: memory.limitMegabytes,
    };
  }

  async run(job: HandlerJob, context: HandlerContext): Promise<void> {
    const work = this.#run(job, context);
    this.#running.add(work);
    await work.finally(() => this.#running.delete(work));
  }

  use(jobId: number): HandlerUse | null {
    const runner = this.#runners.get(jobId);
    if (!runner) return null;
    return {
      pid: null,
      ...runner.use(),
      memoryLimitBytes: this.#spec.limitMegabytes * MEGABYTE,
      restarts: this.#parts.threads.restarts(this.#spec),
    };
  }

  recycle(): void {
    this.#parts.threads.recycle();
  }

  /** Null when the module loads and has the function; else what is wrong, named. It is loaded to find out. */
  async check(): Promise<string | null> {
    const { threads, clock } = this.#parts;
    using limit = deadline(clock, CHECK_SECONDS, this.#closing.signal);
    try {
      threads.release(await threads.take(this.#spec, limit.signal), false);
      return null;
    } catch (error) {
      if (limit.passed) return `the module ${this.#spec.file} did not load within ${CHECK_SECONDS} s`;
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Ends what runs, and waits until it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error(`the handler of jobs of kind "${this.kind}" was closed`));
    await Promise.allSettled(this.#running);
  }

  async #run(job: HandlerJob, context: HandlerContext): Promise<void> {
    const { threads, clock } = this.#parts;
    const { stage, progress } = context;
    using whole = deadline(clock, undefined, context.signal, this.#closing.signal);
    const runner =
      (await threads.takeIdle(this.#spec)) ??
      (await stage('load', () => threads.take(this.#spec, whole.signal)));
    // Waiting for a thread is no time of the module's.
    using limit = deadline(clock, this.#scriptSeconds, whole.signal);
    this.#runners.set(job.id, runner);
    let done = false;
    try {
      await runner.run(job, { signal: limit.signal, stage, progress });
      done = true;
    } catch (error) {
      if (!limit.passed) throw error;
      throw new JobError(
        'timeout',
        `the module ${this.#spec.file} took longer than ${this.#scriptSeconds ?? 0} s (scriptSeconds)`,
        { cause: error },
      );
    } finally {
      threads.release(runner, done);
      // The same job may run here again while an earlier attempt is still being ended.
      if (this.#runners.get(job.id) === runner) this.#runners.delete(job.id);
    }
  }
}
