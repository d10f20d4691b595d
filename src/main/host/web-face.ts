import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { HeadwayError } from '../../contract/errors.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { HostLogger } from './host-transport.ts';
import { followLinkPage, signInPage } from './sign-in-page.ts';
import { WebAccess } from './web-access.ts';
import { isLoopback, urlHost } from './web-addresses.ts';
import { WebGate, type Refusal } from './web-gate.ts';
import { SocketLiveness } from './socket-liveness.ts';
import { webSocketTransport } from './web-socket.ts';
import { readWindowFile } from './window-files.ts';
import { windowHeaders } from './window-policy.ts';

export interface WebFaceOptions {
  dispatcher: Dispatcher;
  /** The built window: a directory with index.html. */
  windowDirectory: string;
  /** Where the token and the sessions are kept. */
  dataDirectory: string;
  logger: HostLogger;
  /** 127.0.0.1 unless given; one that others can reach needs `tls`. */
  address?: string;
  /** 0 takes a free one. */
  port?: number;
  tls?: { cert: string | Buffer; key: string | Buffer };
  /** Names, besides the address, under which browsers may reach this face. */
  names?: readonly string[];
  nowMs?: () => number;
}

/** A page holds one socket, two while it reconnects. */
const MAX_SOCKETS = 64;
const MAX_MESSAGE_BYTES = 1024 * 1024;

/**
 * Headway in a browser: serves the window's files and its WebSocket at `/ws`, to this computer only unless told
 * otherwise. A request passes, in this order: Host known (else 421), Origin ours where it matters (403), token
 * exchanged (303) or session valid (401).
 */
export class WebFace {
  readonly #options: WebFaceOptions;
  readonly #address: string;
  #running: Running | null = null;
  #starting: Promise<void> | null = null;

  constructor(options: WebFaceOptions) {
    this.#options = options;
    this.#address = options.address ?? '127.0.0.1';
  }

  /** Listens. Fails with `settings-invalid` for an address it must not or cannot use, `conflict` for a port in use. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** The port it listens on; 0 before it does. */
  get port(): number {
    return this.#running?.port ?? 0;
  }

  /** The address to open, with the token of the moment; each token signs in one browser. Not for logs. */
  get url(): string {
    if (this.#running === null) throw new Error('The web face is not running.');
    return `${this.#running.origin}/?token=${this.#running.access.token}`;
  }

  /** Ends every socket and stops listening. Idempotent, safe before `start`. */
  async stop(): Promise<void> {
    await this.#starting?.catch(() => undefined);
    const running = this.#running;
    this.#running = null;
    if (running === null) return;
    running.liveness.stop();
    for (const socket of running.sockets.clients) socket.terminate();
    await new Promise<void>((resolve) => {
      running.server.close(() => resolve());
      running.server.closeAllConnections();
    });
  }

  async #start(): Promise<void> {
    const { tls, dataDirectory, names = [], nowMs = Date.now } = this.#options;
    if (tls === undefined && !isLoopback(this.#address)) {
      throw new HeadwayError(
        'settings-invalid',
        `Headway does not serve ${this.#address} without TLS: everybody on the way could read it. ` +
          'Give a certificate and key, or serve 127.0.0.1 and forward the port over SSH.',
      );
    }
    const access = await WebAccess.open(dataDirectory, nowMs);
    const handler = (request: IncomingMessage, response: ServerResponse) =>
      void this.#answer(request, response);
    const server = tls === undefined ? createHttpServer(handler) : createHttpsServer(tls, handler);
    const sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
    });
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    const port = await listen(server, this.#address, this.#options.port ?? 0);
    const scheme = tls === undefined ? 'http' : 'https';
    this.#running = {
      server,
      sockets,
      liveness: new SocketLiveness(sockets),
      access,
      gate: new WebGate({ address: this.#address, port, scheme, names, access }),
      port,
      origin: `${scheme}://${urlHost(this.#address)}:${port}`,
    };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      answer =
        this.#running === null
          ? plain(503, 'Headway is stopping.')
          : await this.#route(this.#running, request);
    } catch (error) {
      this.#options.logger.error({ err: error }, 'The web face could not answer a request');
      answer = plain(500, 'Headway could not answer; its log says why.');
    }
    const { status, headers, body } = answer;
    response.writeHead(status, {
      ...windowHeaders,
      'Cache-Control': 'no-store',
      ...headers,
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #route(running: Running, request: IncomingMessage): Promise<Answer> {
    const { gate } = running;
    const reading = request.method === 'GET' || request.method === 'HEAD';
    const refusal = gate.refusal(request, !reading);
    if (refusal !== null) return plain(refusal.status, refusal.text);
    if (!reading) return plain(405, 'Only GET.', { Allow: 'GET, HEAD' });
    const target = request.url ?? '/';
    // Two slashes would make the path a host where it is used in a redirect.
    if (!target.startsWith('/') || /^\/[/\\]/.test(target)) return plain(400, 'Not a path of Headway.');
    const url = new URL(target, running.origin);
    const signedIn = gate.hasSession(request);
    const token = url.searchParams.get('token');
    if (token !== null && request.method === 'GET') {
      const session = signedIn ? null : await running.access.exchange(token);
      url.searchParams.delete('token');
      const clean = { Location: url.pathname + url.search };
      if (signedIn) return plain(303, 'Signed in already.', clean);
      if (session !== null) return plain(303, 'Signed in.', { ...clean, 'Set-Cookie': gate.cookie(session) });
    }
    if (!signedIn) {
      const { 'sec-fetch-site': site, 'sec-fetch-dest': destination } = request.headers;
      const linked = site === 'cross-site' && destination === 'document';
      return page(401, linked ? followLinkPage(url.pathname + url.search) : signInPage);
    }
    const file = await readWindowFile(this.#options.windowDirectory, url.pathname);
    if (file === null) return plain(404, 'There is no such file.');
    const cache = file.immutable ? { 'Cache-Control': 'private, max-age=31536000, immutable' } : {};
    return { status: 200, headers: { 'Content-Type': file.contentType, ...cache }, body: file.body };
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until the WebSocket takes over, nobody else listens for a broken connection.
    socket.on('error', () => socket.destroy());
    const running = this.#running;
    const refusal = this.#upgradeRefusal(request);
    if (running === null || refusal !== null) {
      const { status, text } = refusal ?? { status: 503, text: '' };
      socket.end(
        `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
      );
      return;
    }
    running.sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', (error) => this.#options.logger.warn({ err: error }, 'A window broke its line'));
      running.liveness.watch(webSocket);
      this.#options.dispatcher.serve(webSocketTransport(webSocket));
    });
  }

  #upgradeRefusal(request: IncomingMessage): Refusal | null {
    const running = this.#running;
    if (running === null) return { status: 503, text: 'Headway is stopping.' };
    const refusal = running.gate.refusal(request, true);
    if (refusal !== null) return refusal;
    if (request.url !== '/ws') return { status: 404, text: 'The socket is at /ws.' };
    if (!running.gate.hasSession(request)) return { status: 401, text: 'Not signed in.' };
    if (running.sockets.clients.size >= MAX_SOCKETS)
      return { status: 503, text: 'Too many windows are open.' };
    return null;
  }
}

interface Running {
  server: Server;
  sockets: WebSocketServer;
  liveness: SocketLiveness;
  access: WebAccess;
  gate: WebGate;
  port: number;
  origin: string;
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer;
}

const plain = (status: number, text: string, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers },
  body: `${text}\n`,
});

const page = (status: number, body: string): Answer => ({
  status,
  headers: { 'Content-Type': 'text/html; charset=utf-8' },
  body,
});

async function listen(server: Server, address: string, port: number): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, address, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw listenError(error, address, port);
  }
  const bound = server.address();
  if (bound === null || typeof bound === 'string')
    throw new Error('A TCP server has an address with a port.');
  return bound.port;
}

function listenError(error: unknown, address: string, port: number): HeadwayError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const place = `${urlHost(address)}:${port}`;
  if (code === 'EADDRINUSE') {
    return new HeadwayError(
      'conflict',
      `Port ${port} of ${address} is in use by another program. Give another port, or 0 for a free one.`,
      { cause: error },
    );
  }
  if (code === 'EACCES') {
    return new HeadwayError(
      'settings-invalid',
      `This user may not listen on ${place}. Give a port above 1023.`,
      { cause: error },
    );
  }
  return new HeadwayError(
    'settings-invalid',
    `Cannot listen on ${place} (${code || String(error)}). Give an address of this computer.`,
    { cause: error },
  );
}
