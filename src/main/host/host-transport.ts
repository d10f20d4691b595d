// The host: it serves the contract to windows, over a message port (Electron) or a WebSocket (browser).
// One dispatcher stands behind both faces; a face brings only the transport.
import type { HostMessage } from '../../contract/protocol.ts';

/** The host's end of one window's line. After a close nothing more is received; `send` is then without effect. */
export interface HostTransport {
  send(message: HostMessage): void;
  /** What the window says, not yet checked. */
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, when the line has ended, whoever ended it. */
  onClose(listener: () => void): void;
  /** Bytes taken by `send` that the window has not taken yet; `Infinity` when the window seems frozen. */
  bufferedBytes(): number;
  /** Ends the line. Idempotent. */
  close(reason: string): void;
}

/** What a text says; undefined, which no message is, when it is not JSON text. */
export function parseJson(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}

/** Where the host tells of bugs and of windows that break the protocol. Pino fits. */
export interface HostLogger {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface HostTimers {
  /** Monotone, in ms. */
  nowMs(): number;
  /** Runs once after the delay; the function returned calls it off. */
  after(delayMs: number, run: () => void): () => void;
}

export const systemTimers: HostTimers = {
  nowMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** What one window may take of the host. */
export interface HostLimits {
  /** Calls and snapshots being worked on at once. */
  runningHandlers: number;
  subscriptions: number;
  /** Time between two delta messages of one stream. */
  deltaEveryMs: number;
  /** Deltas a stream keeps for a window that is slow; one more and all are dropped. */
  queuedDeltas: number;
  /** Above this no delta is sent until the window has caught up. */
  slowBytes: number;
  /** Above this the line is ended: the window asks for answers and does not read them. */
  deafBytes: number;
}

export const defaultLimits: HostLimits = {
  runningHandlers: 64,
  subscriptions: 128,
  deltaEveryMs: 100,
  queuedDeltas: 200,
  slowBytes: 4 * 1024 * 1024,
  deafBytes: 64 * 1024 * 1024,
};
