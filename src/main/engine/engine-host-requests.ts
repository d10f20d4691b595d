// Requests to the engines' thread that wait for their answer, by number.
import { HeadwayError } from '../../contract/errors.ts';
import type { FromEngine } from './engine-messages.ts';

interface Waiting {
  resolve(message: FromEngine): void;
  reject(error: Error): void;
}

export class EngineRequests {
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  /** Resolves with the answer to what `post` sends under its number; rejects with `cancelled` when `signal` aborts. */
  ask(post: (request: number) => void, signal?: AbortSignal): Promise<FromEngine> {
    if (signal?.aborted) return Promise.reject(cancelled());
    const request = this.#next++;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.refused(request, cancelled());
      signal?.addEventListener('abort', onAbort, { once: true });
      const forget = (): void => signal?.removeEventListener('abort', onAbort);
      this.#waiting.set(request, {
        resolve: (message) => {
          forget();
          resolve(message);
        },
        reject: (error) => {
          forget();
          reject(error);
        },
      });
      post(request);
    });
  }

  answered(request: number, message: FromEngine): void {
    this.#taken(request)?.resolve(message);
  }

  refused(request: number, error: Error): void {
    this.#taken(request)?.reject(error);
  }

  refuseAll(error: Error): void {
    for (const request of [...this.#waiting.keys()]) this.refused(request, error);
  }

  #taken(request: number): Waiting | undefined {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    return waiting;
  }
}

const cancelled = (): HeadwayError =>
  new HeadwayError('cancelled', 'The request to the local engine was cancelled.');
