// The window's end of the line to the backend: one client made from the contract, over a WebSocket in a browser or a
// message port in Electron. The window does not know which it is.
import type { ClientMessage } from '../../../contract/protocol.ts';

/** One open line. `send` after the line has ended is without effect. */
export interface ClientTransport {
  send(message: ClientMessage): void;
  close(): void;
}

export interface TransportEvents {
  /** A message of the host, not yet checked. */
  message(message: unknown): void;
  /** The line has ended, and why, in words; called at most once, and not after `close()`. */
  closed(reason: string): void;
}

/** Opens a line. Rejects when there is none to be had, or when `signal` aborts. */
export type ConnectTransport = (events: TransportEvents, signal: AbortSignal) => Promise<ClientTransport>;

/** What a text says; undefined, which no message is, when it is not JSON text. */
export function parseJson(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

export interface ClientTimers {
  /** Local clock, epoch ms. */
  nowMs(): number;
  /** Runs once after the delay; the function returned calls it off. */
  after(delayMs: number, run: () => void): () => void;
  /** From 0 up to 1. */
  random(): number;
}

export const systemTimers: ClientTimers = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
