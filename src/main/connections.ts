// The monitored connections, kept in step with the settings: what is new starts, what is gone stops, what changed
// starts anew, and the rest is left alone.
import type { ConnectionSummary } from '../contract/live.ts';
import { HeadwayError } from '../contract/errors.ts';
import type { ConnectionSettings } from '../contract/settings.ts';
import type { ConnectionMonitor } from './monitor/connection-monitor.ts';
import { Listeners } from './monitor/listeners.ts';

interface Running {
  monitor: ConnectionMonitor;
  /** The settings it was made from, as text; null for what settings do not name. */
  madeFrom: string | null;
  unfollow: AbortController;
}

export class Connections {
  readonly #create: (settings: ConnectionSettings) => ConnectionMonitor;
  readonly #removed: (id: string) => void;
  readonly #failed: (id: string, error: unknown) => void;
  readonly #running = new Map<string, Running>();
  readonly #listeners = new Listeners<ConnectionSummary[]>();
  #changing: Promise<void> = Promise.resolve();
  #stopped = false;

  /**
   * `removed` is told of a connection that settings no longer name, `failed` of one that could not be started or
   * stopped: it does not run, and the others do.
   */
  constructor(
    create: (settings: ConnectionSettings) => ConnectionMonitor,
    removed: (id: string) => void,
    failed: (id: string, error: unknown) => void,
  ) {
    this.#create = create;
    this.#removed = removed;
    this.#failed = failed;
  }

  /** Adds a connection that settings do not name (This computer). */
  add(monitor: ConnectionMonitor): void {
    if (!this.#stopped) this.#start(monitor, null);
  }

  /** Like `add`, in place of the one that runs under the same id: it watches something else from now on. */
  renew(monitor: ConnectionMonitor): Promise<void> {
    return this.#inTurn(async () => {
      const running = this.#running.get(monitor.id);
      try {
        if (running !== undefined) await stop(running);
        this.#start(monitor, null);
      } catch (error) {
        this.#running.delete(monitor.id);
        this.#failed(monitor.id, error);
      }
    });
  }

  /** Brings what runs in step with `settings`; changes are made one after another. */
  apply(settings: readonly ConnectionSettings[]): Promise<void> {
    return this.#inTurn(() => this.#apply(settings));
  }

  /** Starts a connection that runs anew, as after a change that its settings do not show. */
  restart(connection: ConnectionSettings): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#running.has(connection.id)) await this.#replace(connection);
    });
  }

  /** Whether it runs with just these settings, so that `apply` would leave it alone. */
  runs(connection: ConnectionSettings): boolean {
    return this.#running.get(connection.id)?.madeFrom === textOf(connection);
  }

  /** Resolves when every change so far has been made. */
  settled(): Promise<void> {
    return this.#changing;
  }

  /** Throws `not-found` for an id that does not run. */
  get(id: string): ConnectionMonitor {
    const running = this.#running.get(id);
    if (running === undefined)
      throw new HeadwayError('not-found', `There is no connection "${id}". It may have been removed.`);
    return running.monitor;
  }

  all(): ConnectionMonitor[] {
    return [...this.#running.values()].map((running) => running.monitor);
  }

  summaries(): ConnectionSummary[] {
    return this.all().map((monitor) => monitor.summary());
  }

  follow(listener: (summaries: ConnectionSummary[]) => void, signal: AbortSignal): ConnectionSummary[] {
    this.#listeners.add(listener, signal);
    return this.summaries();
  }

  /** Stops everything; nothing is started after it. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#changing;
    const running = [...this.#running.values()];
    this.#running.clear();
    await Promise.all(running.map(stop));
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#changing.then(() => (this.#stopped ? undefined : change()));
    this.#changing = done.catch(() => undefined);
    return done;
  }

  async #apply(settings: readonly ConnectionSettings[]): Promise<void> {
    const wanted = new Set(settings.map(({ id }) => id));
    const gone = [...this.#running].filter(([id, { madeFrom }]) => madeFrom !== null && !wanted.has(id));
    const changed = settings.filter(
      (connection) => !this.#isBuiltIn(connection.id) && !this.runs(connection),
    );
    // All at the same time: one that is slow to stop must not hold up the others.
    await Promise.all([
      ...gone.map(([id, running]) => this.#remove(id, running)),
      ...changed.map((connection) => this.#replace(connection)),
    ]);
    this.#changed();
  }

  async #remove(id: string, running: Running): Promise<void> {
    this.#running.delete(id);
    try {
      await stop(running);
    } catch (error) {
      this.#failed(id, error);
    }
    this.#removed(id);
  }

  /** Keeps its place in the list, and stays there while the old one ends: it has not gone. */
  async #replace(connection: ConnectionSettings): Promise<void> {
    const running = this.#running.get(connection.id);
    try {
      if (running !== undefined) await stop(running);
      this.#start(this.#create(connection), textOf(connection));
    } catch (error) {
      this.#running.delete(connection.id);
      this.#failed(connection.id, error);
    }
  }

  #start(monitor: ConnectionMonitor, madeFrom: string | null): void {
    const unfollow = new AbortController();
    this.#running.set(monitor.id, { monitor, madeFrom, unfollow });
    monitor.onSummary(() => this.#changed(), unfollow.signal);
    monitor.start();
    this.#changed();
  }

  #isBuiltIn(id: string): boolean {
    return this.#running.get(id)?.madeFrom === null;
  }

  #changed(): void {
    this.#listeners.emit(this.summaries());
  }
}

async function stop({ monitor, unfollow }: Running): Promise<void> {
  unfollow.abort();
  await monitor.stop();
}

/** What a monitor is made from. Its alert rules are not: they are read at every poll. */
function textOf(connection: ConnectionSettings): string {
  return JSON.stringify({ ...connection, alerts: null });
}
