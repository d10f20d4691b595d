// What a person should know of Headway itself, until it is mended.
import type { Notice } from '../contract/api.ts';
import { Listeners } from './monitor/listeners.ts';

export class Notices {
  readonly #notices = new Map<string, Notice>();
  readonly #listeners = new Listeners<Notice[]>();

  /** The same id replaces its text. */
  raise(notice: Notice): void {
    this.#notices.set(notice.id, notice);
    this.#listeners.emit(this.#all());
  }

  clear(id: string): void {
    if (this.#notices.delete(id)) this.#listeners.emit(this.#all());
  }

  follow(listener: (notices: Notice[]) => void, signal: AbortSignal): Notice[] {
    this.#listeners.add(listener, signal);
    return this.#all();
  }

  #all(): Notice[] {
    return [...this.#notices.values()];
  }
}
