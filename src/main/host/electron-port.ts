import { parseJson, type HostTransport } from './host-transport.ts';

/** What the host needs of Electron's MessagePortMain. */
export interface PortLike {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (event: { data: unknown }) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  start(): void;
  close(): void;
}

/** A window pings every few seconds; hidden and throttled, once a minute. Silent for longer, it is frozen. */
const FROZEN_AFTER_MS = 90_000;
/** What a window says is small; this is far above the largest settings draft. */
const MAX_MESSAGE_CHARS = 1024 * 1024;

/**
 * The host's end of a message port: JSON text as over a WebSocket, so that both faces carry the same (a structured
 * clone knows more types, and refuses the window's state proxies). A port tells nothing of what waits in it, so a window that has been silent for
 * long counts as frozen and gets no deltas until it speaks again.
 */
export function electronPortTransport(port: PortLike, nowMs: () => number): HostTransport {
  let heardAtMs = nowMs();
  let closed = false;
  const closeListeners: (() => void)[] = [];
  const ended = () => {
    if (closed) return;
    closed = true;
    for (const listener of closeListeners) listener();
  };
  port.on('close', ended);
  const transport: HostTransport = {
    send(message) {
      if (!closed) port.postMessage(JSON.stringify(message));
    },
    onMessage(listener) {
      port.on('message', ({ data }) => {
        if (closed) return;
        heardAtMs = nowMs();
        if (typeof data === 'string' && data.length > MAX_MESSAGE_CHARS) transport.close('message too large');
        else listener(parseJson(data));
      });
      port.start();
    },
    onClose(listener) {
      closeListeners.push(listener);
    },
    bufferedBytes: () => (nowMs() - heardAtMs > FROZEN_AFTER_MS ? Number.POSITIVE_INFINITY : 0),
    close() {
      if (!closed) port.close();
      ended();
    },
  };
  return transport;
}
