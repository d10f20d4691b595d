import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { HeadwayError } from '../../../contract/errors.ts';
import { ByteBudget } from './byte-budget.ts';
import { type Answer, answerOfError, json, Refusal, send, tooMuch } from './http-answer.ts';
import { type IntakeCall, type IntakeRoute, IntakeRoutes, type IntakeRoutesParts } from './intake-routes.ts';
import { ClientGone } from './read-body.ts';

const MB = 2 ** 20;
const MOST_CONNECTIONS = 2_000;

export interface IntakeServerParts extends Omit<IntakeRoutesParts, 'bodies' | 'served'> {
  /** Who knows it may use everything but /health. */
  token: string;
  onProblem: (problem: Error) => void;
  limits?: Partial<IntakeLimits>;
}

export interface IntakeLimits {
  /** Bytes of bodies being read or stored; over it requests are answered with 429. */
  bodyBytes: number;
  /** Bytes of answers that clients have not taken yet; over it, 429. */
  answerBytes: number;
  /** How long a client may take to read one answer, ms. */
  answerMs: number;
  /** How long it may take to send one request, ms. */
  requestMs: number;
}

const usual: IntakeLimits = {
  bodyBytes: 128 * MB,
  answerBytes: 256 * MB,
  answerMs: 60_000,
  requestMs: 120_000,
};

/**
 * The engine over HTTP for other programs (docs/engine.md lists the paths). A request passes, in this order: token known
 * (else 401), path known (404), method right (405), engine not stopping (503), then its route. Each answer goes at its
 * client's speed, so a slow one holds nobody up but itself.
 */
export class IntakeServer {
  readonly #parts: IntakeServerParts;
  readonly #limits: IntakeLimits;
  readonly #routes: IntakeRoutes;
  readonly #server: Server;
  readonly #tokenHash: Buffer;
  readonly #bodies: ByteBudget;
  readonly #answers: ByteBudget;
  readonly #requests = new Map<string, number>();
  #state: 'open' | 'stopping' | 'closed' = 'open';

  constructor(parts: IntakeServerParts) {
    this.#parts = parts;
    this.#limits = { ...usual, ...parts.limits };
    this.#tokenHash = hashOf(parts.token);
    this.#bodies = new ByteBudget(this.#limits.bodyBytes);
    this.#answers = new ByteBudget(this.#limits.answerBytes);
    this.#routes = new IntakeRoutes({
      ...parts,
      bodies: this.#bodies,
      served: { requests: this.#requests, answerBytes: () => this.#answers.usedBytes },
    });
    const serve = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response);
    // Longer than load balancers keep theirs (60 s), so that they never send into a connection that just closed.
    this.#server = createServer(
      {
        noDelay: true,
        keepAlive: true,
        keepAliveTimeout: 65_000,
        headersTimeout: 10_000,
        requestTimeout: this.#limits.requestMs,
        connectionsCheckingInterval: Math.min(5_000, this.#limits.requestMs),
      },
      serve,
    );
    // Whoever asks before it sends its body is told to go on only when there is room for it (read-body.ts).
    this.#server.on('checkContinue', serve);
    this.#server.maxConnections = MOST_CONNECTIONS;
  }

  /** Listens; port 0 takes a free one. Answers the port. `settings-invalid` for one it cannot have. */
  async start(host: string, port: number): Promise<number> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen(port, host, () => {
          this.#server.off('error', reject);
          resolve();
        });
      });
    } catch (error) {
      throw listenError(error, host, port);
    }
    this.#server.on('error', (error) => this.#parts.onProblem(error));
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string')
      throw new Error('A TCP server has an address with a port.');
    return bound.port;
  }

  /** From now on it takes no jobs and gives none out; what is leased may still be settled. */
  refuseWork(): void {
    if (this.#state === 'open') this.#state = 'stopping';
  }

  /** Ends: what is being answered gets `deadlineMs`, idle connections end at once. Idempotent, safe before `start`. */
  async stop(deadlineMs: number): Promise<void> {
    this.#state = 'closed';
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), deadlineMs);
    await closed;
    clearTimeout(timer);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => response.destroy());
    const { pathname, search } = partsOf(request.url ?? '/');
    const found = this.#routes.find(pathname);
    const call: IntakeCall = {
      request,
      response,
      search,
      rest: found?.rest ?? '',
      gone: () => goneSignal(response),
    };
    const answer = await this.#answer(call, pathname, found?.route ?? null);
    if (answer === null) {
      response.destroy();
      return;
    }
    this.#count(pathname === '/health' ? pathname : (found?.route.name ?? 'other'), answer.status);
    if (this.#state !== 'open') response.setHeader('Connection', 'close');
    using share = this.#answers.reserve(answer.body.length);
    const sent = await send(response, share ? answer : overfull(), this.#limits.answerMs);
    if (!sent || !share) found?.route.lost?.(call);
  }

  /** Null when there is nobody to answer any more. */
  async #answer(call: IntakeCall, path: string, route: IntakeRoute | null): Promise<Answer | null> {
    const { request, response } = call;
    try {
      if (path === '/health' && isReading(request)) return this.#health();
      if (!this.#isKnown(request)) throw unauthorized();
      if (route === null) throw new HeadwayError('not-found', `There is no ${path} here.`);
      if (route.method === 'GET' ? !isReading(request) : request.method !== route.method)
        throw wrongMethod(route.method);
      if (this.#state !== 'open' && !route.whileStopping) throw stopping();
      return await route.answer(call);
    } catch (error) {
      if (error instanceof ClientGone) return null;
      // What was not read of the body would be taken for the next request.
      if (!request.complete) endAfterwards(request, response);
      const answer = answerOfError(error);
      if (answer) return answer;
      this.#parts.onProblem(
        new Error(`the engine could not answer ${request.method ?? ''} ${path}`, { cause: error }),
      );
      const bug = new HeadwayError('internal', 'The engine could not answer; its log says why.');
      return json(500, { error: bug.toWire() });
    }
  }

  #health(): Answer {
    return this.#state === 'open' ? json(200, { state: 'working' }) : json(503, { state: 'stopping' });
  }

  #isKnown({ headers }: IncomingMessage): boolean {
    const token = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    // In constant time, whatever the lengths: the hashes are of equal length.
    return token !== undefined && timingSafeEqual(hashOf(token), this.#tokenHash);
  }

  #count(route: string, status: number): void {
    const key = `${route} ${status}`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  }
}

/** Made only for those who ask: an aborted signal costs more than a small request. */
function goneSignal(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  if (response.destroyed) gone.abort();
  else response.once('close', () => gone.abort());
  return gone.signal;
}

/** How long a refused client may go on sending before its connection is cut: it should get to read the answer. */
const LINGER_MS = 1_000;

/** The rest of the body is thrown away for a moment, then the connection ends. */
function endAfterwards(request: IncomingMessage, response: ServerResponse): void {
  if (response.headersSent) return;
  response.setHeader('Connection', 'close');
  request.on('error', () => undefined);
  request.resume();
  response.once('finish', () => {
    const timer = setTimeout(() => request.destroy(), LINGER_MS);
    request.once('close', () => clearTimeout(timer));
  });
}

/** Without URL's normalising: the paths here hold nothing to normalise. */
function partsOf(target: string): { pathname: string; search: string } {
  const at = target.indexOf('?');
  return at < 0
    ? { pathname: target, search: '' }
    : { pathname: target.slice(0, at), search: target.slice(at + 1) };
}

const hashOf = (text: string): Buffer => createHash('sha256').update(text).digest();
const isReading = ({ method }: IncomingMessage): boolean => method === 'GET' || method === 'HEAD';

const unauthorized = (): Refusal =>
  new Refusal(
    401,
    new HeadwayError('unauthorized', 'Send the engine’s token: "Authorization: Bearer …" (docs/engine.md).'),
    { headers: { 'WWW-Authenticate': 'Bearer' } },
  );

const wrongMethod = (method: 'GET' | 'POST'): Refusal =>
  new Refusal(405, new HeadwayError('bad-request', `Use ${method} here.`), {
    headers: { Allow: method === 'GET' ? 'GET, HEAD' : method },
  });

const stopping = (): HeadwayError =>
  new HeadwayError('unreachable', 'The engine is stopping; ask again when it runs.', { retryable: true });

const overfull = (): Answer => tooMuch('Too many answers wait for their clients to read them').answer;

function listenError(error: unknown, host: string, port: number): HeadwayError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  const remedies: Record<string, string> = {
    EADDRINUSE: `Port ${port} of ${host} is in use by another program. Give another port, or 0 for a free one.`,
    EACCES: `This user may not listen on port ${port} of ${host}. Give a port above 1023.`,
  };
  return new HeadwayError(
    'settings-invalid',
    remedies[code] ?? `Cannot listen on port ${port} of ${host} (${code}). Give an address of this computer.`,
    { cause: error },
  );
}
