// The engines of other machines that windows look into, by their connections: opened when somebody first asks, closed
// when the connection changes or goes.
import type { EngineConnection } from '../contract/settings.ts';
import type { EngineAdmin } from './engine/admin.ts';

type OpenEngine = EngineAdmin & AsyncDisposable;

export class OpenEngines implements AsyncDisposable {
  readonly #open: (connection: EngineConnection) => OpenEngine;
  readonly #opened = new Map<string, { madeFrom: string; engine: OpenEngine }>();
  readonly #closing = new Set<Promise<void>>();

  /** `open` connects to nothing yet. */
  constructor(open: (connection: EngineConnection) => OpenEngine) {
    this.#open = open;
  }

  /** The engine of a connection as it is set now. */
  of(connection: EngineConnection): EngineAdmin {
    const madeFrom = JSON.stringify(connection);
    const known = this.#opened.get(connection.id);
    if (known?.madeFrom === madeFrom) return known.engine;
    this.#close(connection.id);
    const engine = this.#open(connection);
    this.#opened.set(connection.id, { madeFrom, engine });
    return engine;
  }

  /** Closes those whose connection is no longer set. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of [...this.#opened.keys()]) if (!ids.has(id)) this.#close(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.keepOnly(new Set());
    await Promise.all(this.#closing);
  }

  #close(id: string): void {
    const known = this.#opened.get(id);
    this.#opened.delete(id);
    if (!known) return;
    // A store that cannot be closed in good order is gone all the same.
    const closing = Promise.resolve(known.engine[Symbol.asyncDispose]())
      .catch(() => undefined)
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
