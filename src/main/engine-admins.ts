// The engines that a window may look into and act upon, by the connection that shows them; and the views of them, read
// about once a second while somebody watches.
import type { EngineView } from '../contract/engine-report.ts';
import { HeadwayError, toWireError } from '../contract/errors.ts';
import type { Connections } from './connections.ts';
import type { EngineAdmin } from './engine/admin.ts';
import { Listeners } from './monitor/listeners.ts';
import type { Clock } from './monitor/clock.ts';

const READ_EVERY_MS = 1_000;
const READ_TIMEOUT_MS = 5_000;

export interface EngineAdminsParts {
  connections: Pick<Connections, 'get'>;
  /** The engine of a connection; null where it shows none. */
  engineOf: (connectionId: string) => EngineAdmin | null;
  clock: Clock;
}

/** One connection's view under watch. */
interface Watch {
  listeners: Listeners<EngineView>;
  last: EngineView;
  /** Wakes the reader before its time. */
  soon: AbortController;
}

export class EngineAdmins {
  readonly #parts: EngineAdminsParts;
  readonly #watches = new Map<string, Watch>();

  constructor(parts: EngineAdminsParts) {
    this.#parts = parts;
  }

  /** To look. Throws `not-found` for a connection that is not there or shows no engine. */
  look(connectionId: string): EngineAdmin {
    const { connections, engineOf } = this.#parts;
    const { name } = connections.get(connectionId).summary();
    const engine = engineOf(connectionId);
    if (engine === null)
      throw new HeadwayError(
        'not-found',
        `${name} is not an engine of Headway, so it has no workers, kinds or dead set to show.`,
      );
    return engine;
  }

  /** Changes something and shows it at once. Rejects like `look`, and with `unauthorized` for a read-only connection. */
  async act<T>(connectionId: string, change: (engine: EngineAdmin) => Promise<T>): Promise<T> {
    const engine = this.look(connectionId);
    const { name, safety } = this.#parts.connections.get(connectionId).summary();
    if (safety === 'read-only')
      throw new HeadwayError(
        'unauthorized',
        `${name} is a read-only connection. Set its safety to "confirm" in the settings to change anything.`,
      );
    try {
      return await change(engine);
    } finally {
      this.#watches.get(connectionId)?.soon.abort();
    }
  }

  /** The view now; calls `listener` with each new one until `signal` aborts. Rejects like `look`, and when it cannot be read. */
  async follow(
    connectionId: string,
    listener: (view: EngineView) => void,
    signal: AbortSignal,
  ): Promise<EngineView> {
    const engine = this.look(connectionId);
    const watch = this.#watches.get(connectionId);
    const view = watch?.last ?? (await engine.view(timed(signal)));
    if (signal.aborted) return view;
    const present = this.#watches.get(connectionId) ?? this.#watch(connectionId, view);
    present.listeners.add(listener, signal);
    const onLeave = (): void => {
      if (present.listeners.size === 0) present.soon.abort();
    };
    signal.addEventListener('abort', onLeave, { once: true });
    return view;
  }

  #watch(connectionId: string, first: EngineView): Watch {
    const watch: Watch = { listeners: new Listeners(), last: first, soon: new AbortController() };
    this.#watches.set(connectionId, watch);
    void this.#read(connectionId, watch);
    return watch;
  }

  /** Ends by itself when nobody listens any more. */
  async #read(connectionId: string, watch: Watch): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      await clock.sleep(READ_EVERY_MS, watch.soon.signal);
      if (watch.soon.signal.aborted) watch.soon = new AbortController();
      if (watch.listeners.size === 0) break;
      watch.last = await this.#view(connectionId, watch.last);
      watch.listeners.emit(watch.last);
    }
    this.#watches.delete(connectionId);
  }

  /** What cannot be read just now is shown as it was last known, with why. */
  async #view(connectionId: string, last: EngineView): Promise<EngineView> {
    try {
      return await this.look(connectionId).view(AbortSignal.timeout(READ_TIMEOUT_MS));
    } catch (error) {
      return { ...last, problem: toWireError(error).message };
    }
  }
}

const timed = (signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(READ_TIMEOUT_MS)]);
