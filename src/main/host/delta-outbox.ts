import type { HostMessage } from '../../contract/protocol.ts';
import type { HostLimits, HostTimers } from './host-transport.ts';

interface OutboxOptions {
  id: number;
  send: (message: HostMessage) => void;
  bufferedBytes: () => number;
  timers: HostTimers;
  limits: Pick<HostLimits, 'deltaEveryMs' | 'queuedDeltas' | 'slowBytes'>;
}

/**
 * What one subscription has still to send: the snapshot first, then numbered messages of gathered deltas.
 *
 *     before-snapshot ──open()──► flowing ──queue overflows──► lossy ──window caught up──► flowing
 *
 * A window that does not keep up holds the queue back, so the queue is bounded. When it overflows, all of it goes:
 * later deltas build on the lost ones. One empty message with a jump in `seq` then tells the window to resubscribe;
 * it is sent even when nothing more happens, else the window would show old values for ever.
 */
export class DeltaOutbox {
  readonly #options: OutboxOptions;
  #state: 'before-snapshot' | 'flowing' | 'closed' = 'before-snapshot';
  #queue: unknown[] = [];
  #lossy = false;
  #dropped = 0;
  #seq = 0;
  #sentAtMs = 0;
  #cancelTimer: (() => void) | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  push(delta: unknown): void {
    if (this.#state === 'closed') return;
    if (this.#lossy) {
      this.#dropped += 1;
      return;
    }
    this.#queue.push(delta);
    if (this.#queue.length > this.#options.limits.queuedDeltas) this.#overflow();
    this.#schedule();
  }

  /** Sends the snapshot; what was pushed before it follows. */
  open(snapshot: unknown): void {
    if (this.#state !== 'before-snapshot') return;
    this.#state = 'flowing';
    this.#sentAtMs = this.#options.timers.nowMs();
    this.#options.send({ t: 'snapshot', id: this.#options.id, snapshot });
    this.#schedule();
  }

  close(): void {
    this.#state = 'closed';
    this.#queue = [];
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }

  #overflow(): void {
    this.#dropped += this.#queue.length;
    this.#queue = [];
    this.#lossy = true;
  }

  #schedule(): void {
    const waiting = this.#lossy || this.#queue.length > 0;
    if (this.#state !== 'flowing' || this.#cancelTimer !== null || !waiting) return;
    const { timers, limits } = this.#options;
    const dueInMs = Math.max(0, this.#sentAtMs + limits.deltaEveryMs - timers.nowMs());
    this.#cancelTimer = timers.after(dueInMs, () => {
      this.#cancelTimer = null;
      this.#flush();
    });
  }

  #flush(): void {
    const { id, send, bufferedBytes, timers, limits } = this.#options;
    this.#sentAtMs = timers.nowMs();
    if (bufferedBytes() > limits.slowBytes) {
      this.#schedule();
      return;
    }
    this.#seq += this.#lossy ? 2 : 1;
    this.#lossy = false;
    const deltas = this.#queue;
    this.#queue = [];
    send({ t: 'delta', id, seq: this.#seq, deltas, dropped: this.#dropped });
  }
}
