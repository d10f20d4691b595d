import { hostMessageSchema, type ClientMessage, type HostMessage } from '../../../contract/protocol.ts';
import type { ClientTimers, ClientTransport, ConnectTransport } from './client-transport.ts';

/** The line to the backend as the window shows it. */
export type LinkState =
  | { kind: 'connecting' }
  | { kind: 'live' }
  /** `attempt` counts from 1; `nextTryAtMs` (local clock) is null while one is being made. */
  | { kind: 'reconnecting'; attempt: number; nextTryAtMs: number | null; reason: string }
  | { kind: 'closed' };

export interface LinkEvents {
  state(state: LinkState): void;
  message(message: Exclude<HostMessage, { t: 'pong' }>): void;
}

const CONNECT_WITHIN_MS = 10_000;
const PING_EVERY_MS = 5_000;
const PONG_WITHIN_MS = 10_000;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;

/**
 * Keeps one line open for as long as the window lives.
 *
 *     connecting ──► live ──lost, or no answer to a ping──► reconnecting ──► live
 *          └────────────no line to be had────────────────────►  ▲    │
 *                                                               └────┘ each time later, up to 10 s
 *
 * `close` leads from everywhere to closed. A line can be dead without a word (half-open), so it is pinged.
 */
export class Link {
  readonly #connect: ConnectTransport;
  readonly #timers: ClientTimers;
  readonly #events: LinkEvents;
  #state: LinkState = { kind: 'connecting' };
  #transport: ClientTransport | null = null;
  /** Ends the line or the attempt of now; what a former one still says is not heard. */
  #epoch = new AbortController();
  #attempt = 0;
  #pings = 0;
  #cancelTimer: () => void = () => undefined;

  constructor(connect: ConnectTransport, timers: ClientTimers, events: LinkEvents) {
    this.#connect = connect;
    this.#timers = timers;
    this.#events = events;
  }

  get state(): LinkState {
    return this.#state;
  }

  open(): void {
    const epoch = this.#nextEpoch();
    this.#wait(CONNECT_WITHIN_MS, () => this.#lost('no answer within 10 s'));
    const events = {
      message: (raw: unknown) => {
        if (!epoch.signal.aborted) this.#receive(raw);
      },
      closed: (reason: string) => {
        if (!epoch.signal.aborted) this.#lost(reason);
      },
    };
    this.#connect(events, epoch.signal).then(
      (transport) => {
        if (epoch.signal.aborted) transport.close();
        else this.#connected(transport);
      },
      (error: unknown) => {
        if (!epoch.signal.aborted) this.#lost(error instanceof Error ? error.message : String(error));
      },
    );
  }

  /** Sends if connected. What is to follow a reconnect is the caller's to send again. */
  send(message: ClientMessage): void {
    this.#transport?.send(message);
  }

  /** Tries at once instead of at `nextTryAtMs`. */
  retryNow(): void {
    if (this.#state.kind !== 'reconnecting' || this.#state.nextTryAtMs === null) return;
    this.#retry();
  }

  /** Drops the line and starts anew. */
  #lost(reason: string): void {
    this.#hangUp();
    this.#attempt += 1;
    const ceilingMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempt);
    // Jitter, so that the windows of a restarted backend do not all come back in the same moment.
    const delayMs = FIRST_DELAY_MS + this.#timers.random() * (ceilingMs - FIRST_DELAY_MS);
    this.#wait(delayMs, () => this.#retry());
    const nextTryAtMs = this.#timers.nowMs() + delayMs;
    this.#become({ kind: 'reconnecting', attempt: this.#attempt, nextTryAtMs, reason });
  }

  close(): void {
    if (this.#state.kind === 'closed') return;
    this.#hangUp();
    this.#become({ kind: 'closed' });
  }

  #retry(): void {
    const reason = this.#state.kind === 'reconnecting' ? this.#state.reason : '';
    this.open();
    this.#become({ kind: 'reconnecting', attempt: this.#attempt, nextTryAtMs: null, reason });
  }

  #connected(transport: ClientTransport): void {
    this.#transport = transport;
    this.#wait(PING_EVERY_MS, () => this.#ping());
    this.#become({ kind: 'live' });
  }

  #ping(): void {
    this.#pings += 1;
    const dueAtMs = this.#timers.nowMs() + PONG_WITHIN_MS;
    this.#wait(PONG_WITHIN_MS, () => {
      // A timer that is late itself tells of a computer that slept or a hidden page; the answer may lie unread.
      if (this.#timers.nowMs() - dueAtMs > 1_000) this.#ping();
      else this.#lost('no answer to a ping within 10 s');
    });
    this.send({ t: 'ping', id: this.#pings });
  }

  #receive(raw: unknown): void {
    const parsed = hostMessageSchema.safeParse(raw);
    if (!parsed.success) {
      this.#lost('the backend speaks another version of the protocol; reload the window');
      return;
    }
    if (parsed.data.t !== 'pong') {
      this.#events.message(parsed.data);
      return;
    }
    // Only a line that held for a while resets the delays, else a backend that ends each line at once is hammered.
    this.#attempt = 0;
    if (parsed.data.id === this.#pings) this.#wait(PING_EVERY_MS, () => this.#ping());
  }

  #hangUp(): void {
    this.#cancelTimer();
    this.#epoch.abort();
    this.#transport?.close();
    this.#transport = null;
  }

  #nextEpoch(): AbortController {
    this.#hangUp();
    this.#epoch = new AbortController();
    return this.#epoch;
  }

  /** The link waits for one thing at a time. */
  #wait(delayMs: number, then: () => void): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#timers.after(delayMs, then);
  }

  #become(state: LinkState): void {
    this.#state = state;
    this.#events.state(state);
  }
}
