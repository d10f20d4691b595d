// One session of a queue's database with what was found on it, for calls that wait for one another.
import { HeadwayError } from '../../../contract/errors.ts';
import type { QueueReader, QueueSession } from './queue-reader.ts';

/** What sessions are made from. */
export interface SessionParts<S extends QueueSession> {
  /** A session whose statements the server stops when they run longer. */
  open: (statementTimeoutMs: number, signal: AbortSignal) => Promise<S>;
  /** Looks at the tables. Rejects with `schema-mismatch` where the system is not there, or not whole. */
  inspect: (session: S, signal: AbortSignal) => Promise<QueueReader<S>>;
  /** A call fails with `timeout` after this long (default 10,000). */
  callTimeoutMs?: number;
  /** Runs `work` after so many ms, unless what it returns is called first (default: Node's timer). */
  after?: (delayMs: number, work: () => void) => () => void;
}

const CALL_TIMEOUT_MS = 10_000;

type Work<S extends QueueSession, T> = (session: S, reader: QueueReader<S>, limit: AbortSignal) => Promise<T>;

/** One session with what was found on it. Calls wait for one another; the next call after a loss or a rest opens anew. */
export class SessionHolder<S extends QueueSession> implements AsyncDisposable {
  readonly #parts: SessionParts<S>;
  readonly #statementTimeoutMs: number;
  readonly #disposed = new AbortController();
  #opened: { session: S; reader: QueueReader<S> } | null = null;
  #last: Promise<unknown> = Promise.resolve();
  readonly #restMs: number | null;
  #calls = 0;
  #stopRest: (() => void) | null = null;

  /** `restMs`: the session is closed after so long without a call; null keeps it. */
  constructor(parts: SessionParts<S>, statementTimeoutMs: number, restMs: number | null = null) {
    this.#parts = parts;
    this.#statementTimeoutMs = statementTimeoutMs;
    this.#restMs = restMs;
  }

  call<T>(signal: AbortSignal, work: Work<S, T>): Promise<T> {
    const limit = AbortSignal.any([
      signal,
      this.#disposed.signal,
      AbortSignal.timeout(this.#parts.callTimeoutMs ?? CALL_TIMEOUT_MS),
    ]);
    this.#calls += 1;
    this.#stopRest?.();
    const next = this.#last
      .then(() => this.#run(limit, work))
      .finally(() => {
        this.#calls -= 1;
        if (this.#calls === 0) this.#rest();
      });
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Closes the session if nobody calls for a while. A call that comes meanwhile waits, and opens another. */
  #rest(): void {
    if (this.#restMs === null || this.#opened === null || this.#disposed.signal.aborted) return;
    const after = this.#parts.after ?? later;
    this.#stopRest = after(this.#restMs, () => {
      this.#last = this.#last.then(() => this.#close());
    });
  }

  async #run<T>(limit: AbortSignal, work: Work<S, T>): Promise<T> {
    if (this.#opened?.session.lost === true) this.#opened = null;
    this.#opened ??= await this.#open(limit);
    const { session, reader } = this.#opened;
    try {
      return await work(session, reader, limit);
    } catch (error) {
      // A table that vanished may have been replaced by a migration: look at the schema again next time.
      if (error instanceof HeadwayError && error.code === 'schema-mismatch') await this.#close();
      throw error;
    }
  }

  async #open(limit: AbortSignal): Promise<{ session: S; reader: QueueReader<S> }> {
    const session = await this.#parts.open(this.#statementTimeoutMs, limit);
    try {
      return { session, reader: await this.#parts.inspect(session, limit) };
    } catch (error) {
      // A grant given in the meantime is seen by new sessions only.
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = null;
    await opened?.session[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    this.#stopRest?.();
    await this.#close();
  }
}

function later(delayMs: number, work: () => void): () => void {
  const timer = setTimeout(work, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}
