import { parseJson, type ConnectTransport } from './client-transport.ts';

/** What is used of the window: the preload script answers a request with a port of its own. */
export interface PortWindow {
  addEventListener(
    type: 'message',
    listener: (event: PortEvent) => void,
    options: { signal: AbortSignal },
  ): void;
  postMessage(message: unknown, targetOrigin: string): void;
}

interface PortEvent {
  readonly data: unknown;
  readonly source: unknown;
  readonly ports: readonly PortLike[];
}

interface PortLike {
  postMessage(message: unknown): void;
  start(): void;
  close(): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: () => void): void;
}

/** Asks the preload script for a port; it answers with `headway-port` and the port. */
const PORT_REQUEST = 'headway-port-request';
const PORT_ANSWER = 'headway-port';

/** A line over a message port, in Electron; one JSON text a message, as over a WebSocket. */
export function portTransport(window: PortWindow): ConnectTransport {
  return (events, signal) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('No port was handed over')), { once: true });
      const answered = new AbortController();
      const listen = { signal: AbortSignal.any([signal, answered.signal]) };
      window.addEventListener(
        'message',
        ({ data, source, ports }) => {
          const port = ports[0];
          if (source !== window || data !== PORT_ANSWER || port === undefined) return;
          answered.abort();
          let ended = false;
          port.addEventListener('message', (event) => events.message(parseJson(event.data)));
          port.addEventListener('close', () => {
            if (!ended) events.closed('the backend closed the port');
            ended = true;
          });
          port.start();
          resolve({
            send: (message) => (ended ? undefined : port.postMessage(JSON.stringify(message))),
            close() {
              ended = true;
              port.close();
            },
          });
        },
        listen,
      );
      // The slash stands for the window's own origin.
      window.postMessage(PORT_REQUEST, '/');
    });
}
