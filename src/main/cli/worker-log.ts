import { pino } from 'pino';
import { createLogger, type Logger } from '../logger.ts';

const FLUSH_EVERY_MS = 200;
const PIECE_BYTES = 32 * 1024;
/** Lines that wait for a slow reader of the log; what is over is dropped and counted. */
const MOST_WAITING_BYTES = 16 * 2 ** 20;

/**
 * The worker's log on standard output: `[TIMING]` and `[STATUS]` lines as they are, problems as one JSON line each. A
 * reader that does not keep up never holds the engine up: lines are dropped, and the next line says how many.
 */
export class WorkerLog implements Disposable {
  readonly logger: Logger;
  readonly #out: ReturnType<typeof pino.destination>;
  readonly #timer: NodeJS.Timeout;
  #dropped = 0;

  constructor() {
    this.#out = pino.destination({
      dest: 1,
      sync: false,
      minLength: PIECE_BYTES,
      maxLength: MOST_WAITING_BYTES,
    });
    this.#out.on('drop', () => (this.#dropped += 1));
    // Nobody reads any more: the engine goes on working, without a log.
    this.#out.on('error', () => undefined);
    this.logger = createLogger(this.#out);
    this.#timer = setInterval(() => this.#flush(), FLUSH_EVERY_MS);
    this.#timer.unref();
  }

  line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  problem(problem: Error): void {
    this.logger.error({ err: problem }, problem.message);
  }

  /** Everything out; the last word. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    try {
      this.#out.flushSync();
    } catch {
      // Nobody reads any more.
    }
  }

  #flush(): void {
    const dropped = this.#dropped;
    this.#dropped = 0;
    if (dropped > 0)
      this.logger.warn({ dropped }, `the reader of this log is too slow: ${dropped} lines were dropped`);
    this.#out.flush();
  }
}
