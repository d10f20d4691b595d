// A queue in a database as a source: one guarded session, opened when it is first needed and anew after a loss.
import { HeadwayError } from '../../../contract/errors.ts';
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import type { Probe, Source } from '../source.ts';
import type { QueueReader, QueueSession } from './queue-reader.ts';

export interface QueueSourceParts<S extends QueueSession> {
  open: (signal: AbortSignal) => Promise<S>;
  /** Looks at the tables. Rejects with `schema-mismatch` where the system is not there, or not whole. */
  inspect: (session: S, signal: AbortSignal) => Promise<QueueReader<S>>;
  /** "PostgreSQL 15.14" */
  server: (session: S) => string;
  /** Local clock, epoch ms. */
  now: () => number;
  /** A call fails with `timeout` after this long (default 10,000). */
  callTimeoutMs?: number;
}

const CALL_TIMEOUT_MS = 10_000;

export class QueueSource<S extends QueueSession> implements Source {
  readonly #parts: QueueSourceParts<S>;
  readonly #polls: SessionHolder<S>;

  constructor(parts: QueueSourceParts<S>) {
    this.#parts = parts;
    this.#polls = new SessionHolder(parts);
  }

  probe(signal: AbortSignal): Promise<Probe> {
    return this.#polls.call(signal, (session, { system, tenantWord, warnings }) =>
      Promise.resolve({
        system: `${system} on ${this.#parts.server(session)}`,
        tenantWord,
        warnings: [...warnings],
      }),
    );
  }

  tenants(signal: AbortSignal): Promise<TenantInfo[]> {
    return this.#polls.call(signal, (session, reader, limit) => reader.tenants(session, limit));
  }

  snapshot(signal: AbortSignal): Promise<SourceSample> {
    return this.#polls.call(signal, async (session, reader, limit) => {
      const beganMs = this.#parts.now();
      const read = await reader.sample(session, limit);
      const endedMs = this.#parts.now();
      // The database's clock was read somewhere in between: the middle, give or take half.
      const errorMs = Math.max(0, endedMs - beganMs) / 2;
      return {
        databaseTimeMs: read.databaseTimeMs,
        clock: { offsetMs: read.databaseTimeMs - (beganMs + errorMs), errorMs },
        tenants: read.tenants,
        workers: read.workers,
        kinds: read.kinds,
        workerMemory: null,
        claimOrder: reader.claimOrder,
        cost: { durationMs: Math.max(0, endedMs - beganMs), rowsRead: read.rowsRead },
      };
    });
  }

  /** Closes the session; a call under way rejects with `cancelled`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#polls[Symbol.asyncDispose]();
  }
}

type Work<S extends QueueSession, T> = (session: S, reader: QueueReader<S>, limit: AbortSignal) => Promise<T>;

/** One session with what was found on it. Calls wait for one another. */
class SessionHolder<S extends QueueSession> implements AsyncDisposable {
  readonly #parts: QueueSourceParts<S>;
  readonly #disposed = new AbortController();
  #opened: { session: S; reader: QueueReader<S> } | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: QueueSourceParts<S>) {
    this.#parts = parts;
  }

  call<T>(signal: AbortSignal, work: Work<S, T>): Promise<T> {
    const limit = AbortSignal.any([
      signal,
      this.#disposed.signal,
      AbortSignal.timeout(this.#parts.callTimeoutMs ?? CALL_TIMEOUT_MS),
    ]);
    const next = this.#last.then(() => this.#run(limit, work));
    this.#last = next.catch(() => undefined);
    return next;
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
    const session = await this.#parts.open(limit);
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
    await this.#close();
  }
}
