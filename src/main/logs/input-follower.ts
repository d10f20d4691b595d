// Follows one input of a host: runs its script again and again, and tells lines and states.
import { setImmediate as breathe, setTimeout as sleep } from 'node:timers/promises';
import { HeadwayError, type WireError } from '../../contract/errors.ts';
import type { LogHostState } from '../../contract/live.ts';
import { LineBatches } from './line-batches.ts';
import type { LogListener } from './log-events.ts';
import type { InputReader } from './log-input.ts';
import { ownLine } from './parse-line.ts';
import { startRun } from './remote-run.ts';
import type { SshConnection } from './ssh-connection.ts';

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

  constructor(label: string, host: string, reader: InputReader, listener: LogListener, now: () => number) {
    this.label = label;
    this.#reader = reader;
    this.#host = host;
    this.#listener = listener;
    this.#now = now;
    this.#batches = new LineBatches((lines) => listener.lines(label, lines));
  }

  /** Reads until `signal` aborts. A failing input is tried again by itself and disturbs no other. */
  async follow(connection: SshConnection, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let retryMs: number;
      try {
        retryMs = await this.#runOnce(connection, signal);
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

  /** Hands over the last lines. */
  flush(): void {
    this.#batches.flush();
  }

  /** @returns after how many ms to begin again. */
  async #runOnce(connection: SshConnection, signal: AbortSignal): Promise<number> {
    const stop = new AbortController();
    const run = await startRun(connection, this.#reader.begin(), AbortSignal.any([signal, stop.signal]));
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
      let sliceEndsAt = performance.now() + SLICE_MS;
      for (const event of this.#reader.read(chunk, this.#now())) {
        switch (event.kind) {
          case 'restart':
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
    }
    return false;
  }

  #announceReconnect(exact: boolean): void {
    this.#wasLive = true;
    if (this.#lostAtMs === null) return;
    const seconds = ((this.#now() - this.#lostAtMs) / 1000).toFixed(1);
    const text = `Connected again after ${seconds} s${exact ? '; nothing is missing' : ''}.`;
    this.#lostAtMs = null;
    void this.#batches.add(ownLine('reconnect', text, this.#now()));
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
