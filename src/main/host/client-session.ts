import { z } from 'zod';
import {
  methods,
  streams,
  type MethodHandlers,
  type MethodName,
  type StreamHandlers,
  type StreamName,
} from '../../contract/api.ts';
import { HeadwayError, toWireError } from '../../contract/errors.ts';
import { clientMessageSchema, type ClientMessage, type HostMessage } from '../../contract/protocol.ts';
import { DeltaOutbox } from './delta-outbox.ts';
import type { HostLimits, HostLogger, HostTimers, HostTransport } from './host-transport.ts';

interface SessionOptions {
  methods: MethodHandlers;
  streams: StreamHandlers;
  logger: HostLogger;
  timers: HostTimers;
  limits: HostLimits;
}

type Call = Extract<ClientMessage, { t: 'call' }>;
type Subscribe = Extract<ClientMessage, { t: 'subscribe' }>;

/** One window's calls and subscriptions. Everything it started is aborted by `end`. */
export class ClientSession {
  readonly transport: HostTransport;
  readonly #options: SessionOptions;
  readonly #calls = new Map<number, AbortController>();
  readonly #subscriptions = new Map<number, { controller: AbortController; outbox: DeltaOutbox }>();
  /** Handlers that have not answered yet, the aborted ones too: they still cost. */
  #running = 0;
  #ended = false;

  constructor(options: SessionOptions, transport: HostTransport) {
    this.#options = options;
    this.transport = transport;
  }

  /** Takes one message as it came; one that is not of the protocol is answered if it has an id, else ends the line. */
  receive(raw: unknown): void {
    if (this.#ended) return;
    const parsed = clientMessageSchema.safeParse(raw);
    if (!parsed.success) {
      this.#options.logger.warn({ problem: problemOf(parsed.error).text }, 'A window sent no valid message');
      const envelope = z.object({ id: z.int().nonnegative() }).safeParse(raw);
      if (envelope.success) this.#refuse(envelope.data.id, badRequest('This message', parsed.error));
      else this.transport.close('not the Headway protocol');
      return;
    }
    const message = parsed.data;
    switch (message.t) {
      case 'ping':
        this.#send({ t: 'pong', id: message.id });
        return;
      case 'cancel':
        this.#calls.get(message.id)?.abort(new HeadwayError('cancelled', 'Cancelled by the window.'));
        this.#calls.delete(message.id);
        return;
      case 'unsubscribe':
        this.#closeSubscription(message.id, 'The window closed the subscription.');
        return;
      case 'call':
        if (this.#admit(message.id, false)) void this.#call(message);
        return;
      case 'subscribe':
        if (this.#admit(message.id, true)) void this.#subscribe(message);
    }
  }

  /** Aborts every handler of this window. Idempotent. */
  end(): void {
    this.#ended = true;
    for (const controller of this.#calls.values()) {
      controller.abort(new HeadwayError('cancelled', 'The window is gone.'));
    }
    this.#calls.clear();
    for (const id of [...this.#subscriptions.keys()]) this.#closeSubscription(id, 'The window is gone.');
  }

  /** Whether a call or subscription may start; if not, the window has been told why. */
  #admit(id: number, subscribing: boolean): boolean {
    const { runningHandlers, subscriptions } = this.#options.limits;
    const refusal =
      this.#calls.has(id) || this.#subscriptions.has(id)
        ? new HeadwayError(
            'bad-request',
            `id: ${id} is in use by another call or subscription of this window.`,
          )
        : this.#running >= runningHandlers
          ? new HeadwayError(
              'budget-exceeded',
              `This window has ${runningHandlers} requests open; wait for one.`,
              { retryable: true },
            )
          : subscribing && this.#subscriptions.size >= subscriptions
            ? new HeadwayError(
                'budget-exceeded',
                `This window has ${subscriptions} subscriptions; close one.`,
                { retryable: true },
              )
            : null;
    if (refusal !== null) this.#refuse(id, refusal);
    return refusal === null;
  }

  async #call({ id, method, input }: Call): Promise<void> {
    if (!isMethodName(method)) {
      this.#refuse(id, new HeadwayError('bad-request', `method: there is no "${clip(method)}".`));
      return;
    }
    const parsed = methods[method].input.safeParse(input);
    if (!parsed.success) {
      this.#refuse(id, badRequest(method, parsed.error));
      return;
    }
    const controller = new AbortController();
    this.#calls.set(id, controller);
    // The input was parsed by the schema of the same name; the compiler cannot follow the name through.
    const handler = this.#options.methods[method] as (
      input: unknown,
      signal: AbortSignal,
    ) => Promise<unknown>;
    this.#running += 1;
    try {
      const output = await handler(parsed.data, controller.signal);
      // Parsing leaves only what the contract names, so a field too many in a handler cannot leak out.
      const checked = methods[method].output.parse(output);
      if (!controller.signal.aborted) this.#send({ t: 'result', id, output: checked });
    } catch (error) {
      if (!controller.signal.aborted) this.#fail(id, method, error);
    } finally {
      this.#running -= 1;
      if (this.#calls.get(id) === controller) this.#calls.delete(id);
    }
  }

  async #subscribe({ id, stream, params }: Subscribe): Promise<void> {
    if (!isStreamName(stream)) {
      this.#refuse(id, new HeadwayError('bad-request', `stream: there is no "${clip(stream)}".`));
      return;
    }
    const parsed = streams[stream].params.safeParse(params);
    if (!parsed.success) {
      this.#refuse(id, badRequest(stream, parsed.error));
      return;
    }
    const { timers, limits } = this.#options;
    const controller = new AbortController();
    const outbox = new DeltaOutbox({
      id,
      timers,
      limits,
      send: (message) => this.#send(message),
      bufferedBytes: () => this.transport.bufferedBytes(),
    });
    this.#subscriptions.set(id, { controller, outbox });
    const fail = (error: unknown) => {
      if (controller.signal.aborted) return;
      this.#closeSubscription(id, 'The stream has failed.');
      this.#fail(id, stream, error);
    };
    // As with calls: the parameters were parsed by the schema of the same name.
    const handler = this.#options.streams[stream] as (
      params: unknown,
      sink: { emit(delta: unknown): void; fail(error: unknown): void },
      signal: AbortSignal,
    ) => Promise<unknown>;
    this.#running += 1;
    try {
      const sink = { emit: (delta: unknown) => outbox.push(delta), fail };
      outbox.open(await handler(parsed.data, sink, controller.signal));
    } catch (error) {
      fail(error);
    } finally {
      this.#running -= 1;
    }
  }

  #closeSubscription(id: number, reason: string): void {
    const subscription = this.#subscriptions.get(id);
    if (subscription === undefined) return;
    this.#subscriptions.delete(id);
    subscription.outbox.close();
    subscription.controller.abort(new HeadwayError('cancelled', reason));
  }

  #fail(id: number, name: string, error: unknown): void {
    if (!(error instanceof HeadwayError)) this.#options.logger.error({ err: error, name }, 'A handler threw');
    this.#send({ t: 'error', id, error: toWireError(error) });
  }

  #refuse(id: number, error: HeadwayError): void {
    this.#send({ t: 'error', id, error: error.toWire() });
  }

  #send(message: HostMessage): void {
    if (this.#ended) return;
    const buffered = this.transport.bufferedBytes();
    // A frozen window in Electron has no measure (Infinity); its answers are few, only its deltas are held.
    if (Number.isFinite(buffered) && buffered > this.#options.limits.deafBytes) {
      this.#options.logger.warn({ buffered }, 'A window does not read its answers; its line is ended');
      this.transport.close('the window does not read');
      return;
    }
    this.transport.send(message);
  }
}

function isMethodName(name: string): name is MethodName {
  return Object.hasOwn(methods, name);
}

function isStreamName(name: string): name is StreamName {
  return Object.hasOwn(streams, name);
}

/** The first thing wrong, with the field's path; never the value, which may be a secret. */
function problemOf(error: z.ZodError): { field: string; text: string } {
  const issue = error.issues[0];
  const field = issue?.path.map(String).join('.') ?? '';
  const text = issue?.message ?? 'not valid';
  return { field, text: field === '' ? text : `${field}: ${text}` };
}

function badRequest(name: string, error: z.ZodError): HeadwayError {
  const { field, text } = problemOf(error);
  const more = error.issues.length > 1 ? ` (and ${error.issues.length - 1} more)` : '';
  return new HeadwayError('bad-request', `${name} was asked wrongly. ${text}${more}`, { details: { field } });
}

const clip = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);
