import { parseJson, type ConnectTransport } from './client-transport.ts';

/** What is used of a browser's WebSocket. */
export interface SocketLike {
  send(text: string): void;
  close(): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void;
}

/** A line over a WebSocket, one JSON text frame a message. `open` makes the socket. */
export function webSocketTransport(open: () => SocketLike): ConnectTransport {
  return (events, signal) =>
    new Promise((resolve, reject) => {
      const socket = open();
      let ended = false;
      const end = () => {
        ended = true;
        socket.close();
      };
      signal.addEventListener('abort', end, { once: true });
      socket.addEventListener('open', () =>
        resolve({
          send: (message) => (ended ? undefined : socket.send(JSON.stringify(message))),
          close: end,
        }),
      );
      // A close always follows; without a listener some sockets would throw.
      socket.addEventListener('error', () => undefined);
      socket.addEventListener('message', ({ data }) => events.message(parseJson(data)));
      socket.addEventListener('close', ({ code, reason }) => {
        if (!ended) events.closed(reason === '' ? `the connection was closed (${code})` : reason);
        ended = true;
        reject(new Error("Headway's backend cannot be reached"));
      });
    });
}
