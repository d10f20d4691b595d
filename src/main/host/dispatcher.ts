import type { MethodHandlers, StreamHandlers } from '../../contract/api.ts';
import { ClientSession } from './client-session.ts';
import {
  defaultLimits,
  systemTimers,
  type HostLimits,
  type HostLogger,
  type HostTimers,
  type HostTransport,
} from './host-transport.ts';

export interface DispatcherOptions {
  methods: MethodHandlers;
  streams: StreamHandlers;
  logger: HostLogger;
  timers?: HostTimers;
  limits?: Partial<HostLimits>;
}

/** Serves the contract's methods and streams to any number of windows, each over its own transport. */
export class Dispatcher {
  readonly #options: ConstructorParameters<typeof ClientSession>[0];
  readonly #sessions = new Set<ClientSession>();

  constructor(options: DispatcherOptions) {
    this.#options = {
      ...options,
      timers: options.timers ?? systemTimers,
      limits: { ...defaultLimits, ...options.limits },
    };
  }

  /** How many windows are on the line. */
  get clients(): number {
    return this.#sessions.size;
  }

  /** Serves one window until its transport closes. */
  serve(transport: HostTransport): void {
    const session = new ClientSession(this.#options, transport);
    this.#sessions.add(session);
    transport.onClose(() => {
      this.#sessions.delete(session);
      session.end();
    });
    transport.onMessage((message) => session.receive(message));
  }

  /** Ends every window's line and aborts what its handlers do. Idempotent. */
  close(reason: string): void {
    for (const session of this.#sessions) {
      session.end();
      session.transport.close(reason);
    }
    this.#sessions.clear();
  }
}
