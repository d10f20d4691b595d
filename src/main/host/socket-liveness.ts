import type { WebSocket, WebSocketServer } from 'ws';

const CHECK_EVERY_MS = 30_000;

/**
 * Ends sockets whose browser is gone without a word, as when a laptop falls asleep: each is pinged, and one that
 * has not answered by the next round is ended. Browsers answer by themselves, in hidden pages too.
 */
export class SocketLiveness {
  readonly #answered = new WeakSet<WebSocket>();
  readonly #timer: NodeJS.Timeout;

  constructor(sockets: Pick<WebSocketServer, 'clients'>) {
    this.#timer = setInterval(() => {
      for (const socket of sockets.clients) {
        if (this.#answered.delete(socket)) socket.ping();
        else socket.terminate();
      }
    }, CHECK_EVERY_MS).unref();
  }

  watch(socket: WebSocket): void {
    this.#answered.add(socket);
    socket.on('pong', () => this.#answered.add(socket));
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
