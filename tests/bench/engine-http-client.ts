// A client that costs little: one kept connection, one request at a time, answers read by their length.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export class BenchClient implements Disposable {
  readonly #socket: Socket;
  #pieces: Buffer[] = [];
  #size = 0;
  /** Of the answer that is awaited, headers and all; null before its headers are there. */
  #expected: { bodyFrom: number; end: number } | null = null;
  #waiting: PromiseWithResolvers<string> | null = null;

  static async open(port: number): Promise<BenchClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new BenchClient(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (piece) => this.#read(piece));
    socket.on('error', (error) => this.#waiting?.reject(error));
    socket.on('close', () => this.#waiting?.reject(new Error('the server closed the connection')));
  }

  /** The answer's body; rejects when its status is not 2xx. */
  ask(request: Buffer): Promise<string> {
    this.#waiting = Promise.withResolvers();
    this.#socket.write(request);
    return this.#waiting.promise;
  }

  [Symbol.dispose](): void {
    this.#waiting = null;
    this.#socket.destroy();
  }

  #read(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#size += piece.length;
    if (this.#expected === null) {
      const bytes = this.#bytes();
      const headEnd = bytes.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = bytes.toString('latin1', 0, headEnd);
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
      this.#expected = { bodyFrom: headEnd + 4, end: headEnd + 4 + length };
    }
    if (this.#size < this.#expected.end) return;
    const bytes = this.#bytes();
    const { bodyFrom, end } = this.#expected;
    this.#pieces = [];
    this.#size = 0;
    this.#expected = null;
    const waiting = this.#waiting;
    this.#waiting = null;
    const body = bytes.toString('utf8', bodyFrom, end);
    // "HTTP/1.1 2xx"
    if (bytes[9] === 0x32) waiting?.resolve(body);
    else waiting?.reject(new Error(`${bytes.toString('latin1', 9, 12)}: ${body}`));
  }

  #bytes(): Buffer {
    const [only] = this.#pieces;
    if (only !== undefined && this.#pieces.length === 1) return only;
    const all = Buffer.concat(this.#pieces);
    this.#pieces = [all];
    return all;
  }
}

/** A request's bytes, made once. */
export function requestBytes(token: string, path: string, contentType: string, body: string): Buffer {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${contentType}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
