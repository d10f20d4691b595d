import { createLogger, type Logger } from '../logger.ts';
import { LineOutput } from './line-output.ts';

/** Lines that wait for a slow reader of the log. */
const MOST_WAITING_BYTES = 16 * 2 ** 20;
const TELL_DROPS_EVERY_MS = 10_000;

/**
 * The worker's log on standard output: `[TIMING]` and `[STATUS]` lines as they are, problems as one JSON line each. A
 * reader that does not keep up never holds the engine up: lines are dropped, and one line says how many.
 */
export class WorkerLog implements AsyncDisposable {
  readonly #out = new LineOutput(process.stdout, MOST_WAITING_BYTES);
  readonly #logger: Logger = createLogger(this.#out);
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#tellDrops(), TELL_DROPS_EVERY_MS).unref();
  }

  line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  problem(problem: Error): void {
    this.#logger.error({ err: problem }, problem.message);
  }

  /** The last word. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#tellDrops();
    await this.#out[Symbol.asyncDispose]();
  }

  #tellDrops(): void {
    const dropped = this.#out.takeDropped();
    if (dropped > 0)
      this.#logger.warn({ dropped }, `the reader of this log is too slow: ${dropped} lines were dropped`);
  }
}
