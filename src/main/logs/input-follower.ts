// Follows one input of a host: runs its script again and again, and tells lines and states.
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import { HeadwayError, type WireError } from '../../contract/errors.ts';
import type { LogHostState } from '../../contract/live.ts';
import type { HostLink } from './host-link.ts';
import { LineBatches } from './line-batches.ts';
import type { LogListener } from './log-events.ts';
import type { InputReader } from './log-input.ts';
import type { KeptPlace, LogPlaces } from './log-places.ts';
import { ownLine } from './parse-line.ts';
import { startRun } from './remote-run.ts';

export interface InputFollowerOptions {
  /** Unique within the connection. */
  label: string;
  /** How errors call the host. */
  host: string;
  reader: InputReader;
  listener: LogListener;
  places: LogPlaces;
  now: () => number;
}

/** Longer than this the main loop is never held by parsing. */
const SLICE_MS = 4;

export class InputFollower {
  readonly label: string;
  #reader: InputReader;
  #host: string;
  #listener: LogListener;
  #now: () => number;
  #batches: LineBatches;
  #state: LogHostState | null = null;
  /** Since when the connection is lost; null while it stands, and before the first one. */
  #lostAtMs: number | null = null;
  #wasLive = false;
  #places: LogPlaces;
  /** What the first announcement after a restart says; null when there was none, or it was said. */
  #restored: KeptPlace | null = null;
  /** Whether lines of the present chunk are still to come, so that the reader's place is ahead of its lines. */
  #isReading = false;
  /** The place behind the last whole chunk, and the one whose lines were handed over. */
  #readTo: unknown = null;
  #handedOverTo: unknown = null;
  #readToAtMs = 0;

  constructor(options: InputFollowerOptions) {
    const { label, listener } = options;
    this.label = label;
    this.#reader = options.reader;
    this.#host = options.host;
    this.#listener = listener;
    this.#now = options.now;
    this.#places = options.places;
    this.#batches = new LineBatches((lines) => {
      listener.lines(label, lines);
      this.#handedOverTo = this.#readTo;
      this.#places.moved(label, () => this.#place());
    });
  }

  /** Goes on where an earlier life of Headway was. To be called once, before the first `follow`. */
  async restore(): Promise<void> {
    const kept = await this.#places.find(this.label);
    if (kept === null || !this.#reader.restore(kept.place)) return;
    this.#restored = kept;
    this.#lostAtMs = kept.atMs;
    this.#wasLive = true;
    this.#readTo = kept.place;
    this.#handedOverTo = kept.place;
  }

  /** Reads until `signal` aborts. A failing input is tried again by itself and disturbs no other. */
  async follow(link: HostLink, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let retryMs: number;
      try {
        retryMs = await this.#runOnce(link, signal);
      } catch (error) {
        if (isAborted(signal)) break;
        this.#setState('failed', toInputError(error, this.label));
        retryMs = 10_000;
      }
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
    if (this.#wasLive) this.#lostAtMs ??= this.#now();
  }

  /** Tells what becomes of the whole connection, this input included. */
  connectionState(state: 'connecting' | 'reconnecting' | 'failed', error: HeadwayError | null): void {
    this.#setState(state, error);
  }

  /** Hands over the last lines and writes down where they end. Only while nothing follows. */
  async settle(): Promise<void> {
    this.#batches.flush();
    // Never reached since the restart: what was known then is all that is known.
    const kept = this.#restored ?? { place: this.#reader.place(), atMs: this.#now(), settled: true };
    await this.#places.settle(this.label, kept);
  }

  /** Behind the last line that was handed over, as exactly as is known without waiting for a chunk's end. */
  #place(): unknown {
    return this.#isReading || !this.#batches.isEmpty ? this.#handedOverTo : this.#reader.place();
  }

  /** @returns after how many ms to begin again. */
  async #runOnce(link: HostLink, signal: AbortSignal): Promise<number> {
    const stop = new AbortController();
    const run = await startRun(link, this.#reader.begin(), AbortSignal.any([signal, stop.signal]));
    try {
      if (await this.#readAll(run.output)) return 0;
    } finally {
      // Also when reading failed: the script on the host must not outlive its reader.
      stop.abort();
    }
    const end = await run.ended;
    if (signal.aborted || end.code === null) return 250;
    const meaning = this.#reader.ended(end, this.#host);
    this.#setState(meaning.state, meaning.error);
    return meaning.retryMs;
  }

  /** @returns whether the reader asked for another run. */
  async #readAll(output: AsyncIterable<Buffer>): Promise<boolean> {
    for await (const chunk of output) {
      this.#isReading = true;
      let sliceEndsAt = performance.now() + SLICE_MS;
      for (const event of this.#reader.read(chunk, this.#now())) {
        switch (event.kind) {
          case 'restart':
            this.#isReading = false;
            return true;
          case 'waiting':
            this.#setState('waiting-for-file', null);
            break;
          case 'resumed':
            this.#announceReconnect(event.exact);
            this.#setState('live', null);
            break;
          case 'line': {
            const room = this.#batches.add(event.line);
            if (room !== null) await room;
          }
        }
        if (performance.now() >= sliceEndsAt) {
          await breathe();
          sliceEndsAt = performance.now() + SLICE_MS;
        }
      }
      this.#chunkIsRead();
    }
    return false;
  }

  #chunkIsRead(): void {
    this.#isReading = false;
    const nowMs = this.#now();
    if (nowMs - this.#readToAtMs < 1_000) return;
    this.#readToAtMs = nowMs;
    this.#readTo = this.#reader.place();
  }

  #announceReconnect(exact: boolean): void {
    this.#wasLive = true;
    if (this.#lostAtMs === null) return;
    const seconds = ((this.#now() - this.#lostAtMs) / 1000).toFixed(1);
    this.#lostAtMs = null;
    const restored = this.#restored;
    this.#restored = null;
    const found = exact ? '; nothing is missing' : '';
    if (restored === null) {
      void this.#batches.add(
        ownLine('reconnect', `Connected again after ${seconds} s${found}.`, this.#now()),
      );
      return;
    }
    void this.#batches.add(ownLine('reconnect', `Headway reads on after ${seconds} s${found}.`, this.#now()));
    if (restored.settled) return;
    const text = 'Headway had ended without a stop: the last lines before it may stand here a second time.';
    void this.#batches.add(ownLine('note', text, this.#now()));
  }

  #setState(state: LogHostState['state'], error: HeadwayError | null): void {
    const wire: WireError | null = error?.toWire() ?? null;
    if (this.#state?.state === state && this.#state.error?.message === wire?.message) return;
    this.#state = { label: this.label, state, sinceMs: this.#now(), error: wire };
    this.#listener.state(this.#state);
  }
}

// A function, so that the compiler does not take an earlier look at the signal for the present one.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function toInputError(error: unknown, label: string): HeadwayError {
  if (error instanceof HeadwayError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HeadwayError('command-failed', `${label}: ${message}`, { cause: error });
}
