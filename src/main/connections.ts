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
  readonly #running = new Map<string, Running>();
  readonly #listeners = new Listeners<ConnectionSummary[]>();
  #changing: Promise<void> = Promise.resolve();

  /** `removed` is told of a connection that settings no longer name. */
  constructor(create: (settings: ConnectionSettings) => ConnectionMonitor, removed: (id: string) => void) {
    this.#create = create;
    this.#removed = removed;
  }

  /** Adds a connection that settings do not name (This computer). */
  add(monitor: ConnectionMonitor): void {
    this.#start(monitor, null);
  }

  /** Brings what runs in step with `settings`; changes are made one after another. */
  apply(settings: readonly ConnectionSettings[]): Promise<void> {
    this.#changing = this.#changing.then(() => this.#apply(settings));
    return this.#changing;
  }

  /** Starts a connection anew, as after a change that its settings do not show. */
  restart(connection: ConnectionSettings): Promise<void> {
    this.#changing = this.#changing.then(async () => {
      await this.#stop(connection.id);
      this.#start(this.#create(connection), fingerprintOf(connection));
    });
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

  /** Stops everything. Idempotent. */
  async stop(): Promise<void> {
    await this.#changing;
    await Promise.all([...this.#running.keys()].map((id) => this.#stop(id)));
  }

  async #apply(settings: readonly ConnectionSettings[]): Promise<void> {
    const wanted = new Map(settings.map((connection) => [connection.id, connection]));
    for (const [id, { madeFrom }] of this.#running) {
      if (madeFrom === null) continue;
      const connection = wanted.get(id);
      if (connection === undefined || fingerprintOf(connection) !== madeFrom) await this.#stop(id);
      if (connection === undefined) this.#removed(id);
    }
    for (const [id, connection] of wanted) {
      if (!this.#running.has(id)) this.#start(this.#create(connection), fingerprintOf(connection));
    }
    this.#changed();
  }

  #start(monitor: ConnectionMonitor, madeFrom: string | null): void {
    const unfollow = new AbortController();
    this.#running.set(monitor.id, { monitor, madeFrom, unfollow });
    monitor.onSummary(() => this.#changed(), unfollow.signal);
    monitor.start();
    this.#changed();
  }

  async #stop(id: string): Promise<void> {
    const running = this.#running.get(id);
    if (running === undefined) return;
    this.#running.delete(id);
    running.unfollow.abort();
    await running.monitor.stop();
  }

  #changed(): void {
    this.#listeners.emit(this.summaries());
  }
}

/** What a connection is made from, as text. Alert rules are looked up at every poll: they need no new start. */
function fingerprintOf(connection: ConnectionSettings): string {
  return JSON.stringify({ ...connection, alerts: null });
}
