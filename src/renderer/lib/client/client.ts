import type {
  CallInput,
  Delta,
  MethodName,
  MethodOutput,
  Snapshot,
  StreamName,
  SubscribeParams,
} from '../../../contract/api.ts';
import { HeadwayError, type WireError } from '../../../contract/errors.ts';
import type { HostMessage } from '../../../contract/protocol.ts';
import { systemTimers, type ClientTimers, type ConnectTransport } from './client-transport.ts';
import { Link, type LinkState } from './link.ts';

interface CallOptions {
  signal?: AbortSignal;
  /** 30 s unless given. */
  timeoutMs?: number;
}

/** `interrupted`: what was shown last may be old; a fresh snapshot is on its way. */
type SubscriptionStatus = 'pending' | 'live' | 'interrupted';

export interface SubscriptionHandlers<S extends StreamName> {
  /** The whole, at the start and again after each interruption. */
  snapshot(snapshot: Snapshot<S>): void;
  delta(delta: Delta<S>): void;
  /** The stream has ended. When the error is retryable it is begun again by itself, with a new snapshot. */
  error(error: WireError): void;
  status?(status: SubscriptionStatus): void;
}

export interface Client {
  readonly state: LinkState;
  /** Deltas that the backend dropped because this window was slow; their streams were renewed. */
  readonly dropped: number;
  /** Calls back on each change; the function returned ends it. */
  onState(listener: (state: LinkState) => void): () => void;
  /**
   * Calls a method. Rejects with HeadwayError: the method's own codes, `timeout`, `cancelled` (signal), `unreachable`
   * (the line is down or was lost before the answer; whether the backend has acted is then unknown).
   */
  call<M extends MethodName>(method: M, input: CallInput<M>, options?: CallOptions): Promise<MethodOutput<M>>;
  /** Follows a stream through losses of the line until the function returned is called. */
  subscribe<S extends StreamName>(
    stream: S,
    params: SubscribeParams<S>,
    handlers: SubscriptionHandlers<S>,
  ): () => void;
  /** Tries to reconnect at once. */
  retryNow(): void;
  close(): void;
}

interface PendingCall {
  message: { t: 'call'; id: number; method: string; input: unknown };
  settle: (outcome: { output: unknown } | { error: HeadwayError }) => void;
}

interface Subscription {
  stream: string;
  params: unknown;
  /** Of any one stream; `subscribe` has seen to it that handlers and stream belong together. */
  handlers: AnyHandlers;
  status: SubscriptionStatus;
  seq: number;
  dropped: number;
}

interface AnyHandlers {
  snapshot(snapshot: unknown): void;
  delta(delta: unknown): void;
  error(error: WireError): void;
  status?(status: SubscriptionStatus): void;
}

const CALL_TIMEOUT_MS = 30_000;
/** A stream that ended for a while (its connection was changed) is begun again after this. */
const STREAM_RETRY_MS = 500;

/** Opens the line and keeps it open until `close`. */
export function createClient(connect: ConnectTransport, options: { timers?: ClientTimers } = {}): Client {
  return new ContractClient(connect, options.timers ?? systemTimers);
}

class ContractClient implements Client {
  readonly #timers: ClientTimers;
  readonly #link: Link;
  readonly #stateListeners = new Set<(state: LinkState) => void>();
  readonly #calls = new Map<number, PendingCall>();
  /** By the id of now: each renewal takes a new one, so that what the old one still sends is not heard. */
  readonly #subscriptions = new Map<number, Subscription>();
  /** Ended for a while; how to take back the new beginning. */
  readonly #resting = new Map<Subscription, () => void>();
  #lastId = 0;
  #dropped = 0;

  constructor(connect: ConnectTransport, timers: ClientTimers) {
    this.#timers = timers;
    this.#link = new Link(connect, timers, {
      state: (state) => this.#onLinkState(state),
      message: (message) => this.#receive(message),
    });
    this.#link.open();
  }

  get state(): LinkState {
    return this.#link.state;
  }

  get dropped(): number {
    return this.#dropped;
  }

  onState(listener: (state: LinkState) => void): () => void {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  call<M extends MethodName>(
    method: M,
    input: CallInput<M>,
    { signal, timeoutMs = CALL_TIMEOUT_MS }: CallOptions = {},
  ): Promise<MethodOutput<M>> {
    const down = this.state.kind === 'reconnecting' || this.state.kind === 'closed';
    if (signal?.aborted === true) return Promise.reject(cancelled(method));
    if (down) return Promise.reject(lineDown(method));
    return new Promise((resolve, reject: (error: HeadwayError) => void) => {
      const id = ++this.#lastId;
      const giveUp = (error: HeadwayError) => {
        this.#link.send({ t: 'cancel', id });
        this.#calls.get(id)?.settle({ error });
      };
      const onAbort = () => giveUp(cancelled(method));
      const cancelTimer = this.#timers.after(timeoutMs, () => giveUp(timedOut(method, timeoutMs)));
      signal?.addEventListener('abort', onAbort, { once: true });
      const message = { t: 'call' as const, id, method, input };
      const settle: PendingCall['settle'] = (outcome) => {
        this.#calls.delete(id);
        cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        if ('error' in outcome) reject(outcome.error);
        // The host parses what leaves by the schema of the same name.
        else resolve(outcome.output as MethodOutput<M>);
      };
      this.#calls.set(id, { message, settle });
      // Before the first connection this does nothing; the call is sent when there is one.
      this.#link.send(message);
    });
  }

  subscribe<S extends StreamName>(
    stream: S,
    params: SubscribeParams<S>,
    handlers: SubscriptionHandlers<S>,
  ): () => void {
    const subscription: Subscription = {
      stream,
      params,
      handlers,
      status: 'pending',
      seq: 0,
      dropped: 0,
    };
    this.#begin(subscription);
    return () => {
      this.#resting.get(subscription)?.();
      this.#resting.delete(subscription);
      const id = this.#idOf(subscription);
      if (id === undefined) return;
      this.#subscriptions.delete(id);
      this.#link.send({ t: 'unsubscribe', id });
    };
  }

  retryNow(): void {
    this.#link.retryNow();
  }

  close(): void {
    this.#link.close();
    this.#subscriptions.clear();
    for (const takeBack of this.#resting.values()) takeBack();
    this.#resting.clear();
  }

  #begin(subscription: Subscription): void {
    const id = ++this.#lastId;
    subscription.seq = 0;
    subscription.dropped = 0;
    this.#subscriptions.set(id, subscription);
    this.#link.send({ t: 'subscribe', id, stream: subscription.stream, params: subscription.params });
  }

  #rest(subscription: Subscription): void {
    this.#interrupt(subscription);
    const takeBack = this.#timers.after(STREAM_RETRY_MS, () => {
      this.#resting.delete(subscription);
      this.#begin(subscription);
    });
    this.#resting.set(subscription, takeBack);
  }

  #idOf(subscription: Subscription): number | undefined {
    for (const [id, known] of this.#subscriptions) if (known === subscription) return id;
    return undefined;
  }

  #onLinkState(state: LinkState): void {
    if (state.kind === 'live') {
      for (const { message } of this.#calls.values()) this.#link.send(message);
      const subscriptions = [...this.#subscriptions.values()];
      this.#subscriptions.clear();
      for (const subscription of subscriptions) this.#begin(subscription);
    } else {
      for (const { message, settle } of [...this.#calls.values()])
        settle({ error: lineDown(message.method) });
      for (const subscription of this.#subscriptions.values()) this.#interrupt(subscription);
    }
    for (const listener of this.#stateListeners) guarded(() => listener(state));
  }

  #receive(message: Exclude<HostMessage, { t: 'pong' }>): void {
    const { id } = message;
    if (message.t === 'result') {
      this.#calls.get(id)?.settle({ output: message.output });
      return;
    }
    const subscription = this.#subscriptions.get(id);
    if (message.t === 'error') {
      this.#calls.get(id)?.settle({ error: fromWire(message.error) });
      this.#subscriptions.delete(id);
      if (subscription === undefined) return;
      if (message.error.retryable) this.#rest(subscription);
      guarded(() => subscription.handlers.error(message.error));
    } else if (subscription === undefined) {
      // Sent before the host had heard that it is over.
    } else if (message.t === 'snapshot') {
      guarded(() => subscription.handlers.snapshot(message.snapshot));
      this.#setStatus(subscription, 'live');
    } else {
      this.#receiveDeltas(id, subscription, message);
    }
  }

  #receiveDeltas(
    id: number,
    subscription: Subscription,
    message: Extract<HostMessage, { t: 'delta' }>,
  ): void {
    this.#dropped += message.dropped - subscription.dropped;
    subscription.dropped = message.dropped;
    if (message.seq !== subscription.seq + 1) {
      this.#subscriptions.delete(id);
      this.#link.send({ t: 'unsubscribe', id });
      this.#begin(subscription);
      this.#interrupt(subscription);
      return;
    }
    subscription.seq = message.seq;
    for (const delta of message.deltas) {
      // The handler of an earlier delta may have ended the subscription.
      if (this.#subscriptions.get(id) !== subscription) return;
      guarded(() => subscription.handlers.delta(delta));
    }
  }

  #interrupt(subscription: Subscription): void {
    if (subscription.status === 'live') this.#setStatus(subscription, 'interrupted');
  }

  #setStatus(subscription: Subscription, status: SubscriptionStatus): void {
    if (subscription.status === status) return;
    subscription.status = status;
    guarded(() => subscription.handlers.status?.(status));
  }
}

/** A view that throws is a bug to be seen, but must not stop the line: it is thrown again outside. */
function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

function fromWire({ code, message, retryable, details }: WireError): HeadwayError {
  return new HeadwayError(code, message, details === undefined ? { retryable } : { retryable, details });
}

const lineDown = (method: string) =>
  new HeadwayError('unreachable', `No line to Headway's backend: ${method} was not answered. Try again.`, {
    retryable: true,
  });
const timedOut = (method: string, timeoutMs: number) =>
  new HeadwayError('timeout', `${method} was not answered within ${timeoutMs / 1000} s. Try again.`, {
    retryable: true,
  });
const cancelled = (method: string) => new HeadwayError('cancelled', `${method} was cancelled.`);
