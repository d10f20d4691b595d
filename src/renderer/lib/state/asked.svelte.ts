// One question to the backend that somebody asked: its answer, or why there is none. A newer question ends the one before.
import { toWireError, type WireError } from '../../../contract/errors.ts';

export class Asked<T> implements Disposable {
  answer = $state.raw<T | null>(null);
  error = $state.raw<WireError | null>(null);
  asking = $state(false);
  /** What the answer, or the error, is about; null before the first question. */
  about = $state.raw<string | null>(null);
  #stop: AbortController | null = null;

  /** The answer; null where it failed or a newer question came. */
  async ask(about: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    this.stop();
    const stop = new AbortController();
    this.#stop = stop;
    this.asking = true;
    try {
      const answer = await work(stop.signal);
      if (stop.signal.aborted) return null;
      Object.assign(this, { answer, error: null, about });
      return answer;
    } catch (error) {
      if (!stop.signal.aborted) Object.assign(this, { answer: null, error: toWireError(error), about });
      return null;
    } finally {
      if (this.#stop === stop) {
        this.#stop = null;
        this.asking = false;
      }
    }
  }

  /** Ends a question under way; what was answered before stays. */
  stop(): void {
    this.#stop?.abort();
    this.#stop = null;
    this.asking = false;
  }

  forget(): void {
    this.stop();
    Object.assign(this, { answer: null, error: null, about: null });
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
