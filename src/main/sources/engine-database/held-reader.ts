// A store that is opened when it is first asked and anew after it failed; calls wait for one another.
import { HeadwayError } from '../../../contract/errors.ts';
import type { StoreReader } from './store-reader.ts';

export class HeldReader implements AsyncDisposable {
  readonly #open: () => Promise<StoreReader>;
  readonly #callTimeoutMs: number;
  #reader: Promise<StoreReader> | null = null;
  #last: Promise<unknown> = Promise.resolve();
  readonly #disposed = new AbortController();

  /** A call fails with `timeout` after `callTimeoutMs` (default 10,000). */
  constructor(open: () => Promise<StoreReader>, callTimeoutMs = 10_000) {
    this.#open = open;
    this.#callTimeoutMs = callTimeoutMs;
  }

  call<T>(signal: AbortSignal, ask: (reader: StoreReader) => Promise<T>): Promise<T> {
    const limit = AbortSignal.any([signal, this.#disposed.signal, AbortSignal.timeout(this.#callTimeoutMs)]);
    const next = this.#last.then(() => this.#ask(limit, ask));
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** A call that is given up, or that the store failed, ends the reader: the next one opens it anew. */
  async #ask<T>(signal: AbortSignal, ask: (reader: StoreReader) => Promise<T>): Promise<T> {
    refuseAborted(signal);
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(abortFailure(signal));
    signal.addEventListener('abort', abort, { once: true });
    try {
      this.#reader ??= this.#open();
      return await Promise.race([this.#reader.then(ask), aborted.promise]);
    } catch (error) {
      const closing = this.#close();
      // Whoever was given up may hang for a while; its end is nobody's concern any more.
      if (signal.aborted) closing.catch(() => undefined);
      else await closing;
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
      aborted.promise.catch(() => undefined);
    }
  }

  /** Calls under way or waiting reject with `cancelled`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    return this.#close();
  }

  async #close(): Promise<void> {
    const closing = this.#reader;
    this.#reader = null;
    const reader = await closing?.catch(() => null);
    await reader?.[Symbol.asyncDispose]();
  }
}

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortFailure(signal);
}

function abortFailure(signal: AbortSignal): HeadwayError {
  const reason: unknown = signal.reason;
  if (reason instanceof HeadwayError) return reason;
  if (reason instanceof DOMException && reason.name === 'TimeoutError')
    return new HeadwayError('timeout', 'The store did not answer in time. Check the network and its load.', {
      retryable: true,
      cause: reason,
    });
  return new HeadwayError('cancelled', 'The read was cancelled.', { cause: reason });
}
