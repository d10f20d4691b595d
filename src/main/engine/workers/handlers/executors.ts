// What the handlers of one engine share: the threads of job modules, and the watch over programs.
import type { Clock } from '../../clock.ts';
import { ModuleThreads } from './module-threads.ts';
import { ProcessWatch } from './process-watch.ts';

export class Executors implements AsyncDisposable {
  readonly threads: ModuleThreads;
  readonly processes: ProcessWatch;

  /** `workers`: jobs that run at once, and so the most threads at a time. Starts nothing yet. */
  constructor(clock: Clock, workers: number) {
    this.threads = new ModuleThreads(clock, workers);
    this.processes = new ProcessWatch(clock);
  }

  configure(workers: number): void {
    this.threads.configure(workers);
  }

  /** After the handlers. Nothing of them is left then: no thread, no process. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.threads[Symbol.asyncDispose]();
    await this.processes[Symbol.asyncDispose]();
  }
}
