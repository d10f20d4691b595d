// The dependency of incident 4: a service that breaks for a while, comes back with a limit of calls, and serves an
// expensive call only so often. A real HTTP server.
import type { ServerResponse } from 'node:http';
import { RateLimit } from '../../../core/rate-limit.ts';
import { type Clock, sleep } from '../clock.ts';
import { type LocalServer, localServer } from './local-server.ts';

/** What "come back later" says: whole seconds, as HTTP has it. */
const RETRY_AFTER_S = 1;

interface FlakyOptions {
  clock: Clock;
  /** How long an ordinary answer takes. */
  answerMs: number;
  /** Of `/embed`: calls in `perMs`. */
  limit: { starts: number; perMs: number };
}

export class FlakyServer implements AsyncDisposable {
  readonly #server: LocalServer;
  readonly #ended: AbortController;
  readonly #outage: { untilMs: number };

  private constructor(server: LocalServer, ended: AbortController, outage: { untilMs: number }) {
    this.#server = server;
    this.#ended = ended;
    this.#outage = outage;
  }

  /** `/sync` answers 503 while it is broken; `/embed` answers 429 beyond its limit. */
  static async open({ clock, answerMs, limit }: FlakyOptions): Promise<FlakyServer> {
    const ended = new AbortController();
    const outage = { untilMs: 0 };
    const embeds = new RateLimit(limit, clock.now());
    const answer = async (path: string, response: ServerResponse): Promise<void> => {
      const nowMs = clock.now();
      if (path === '/sync' && nowMs < outage.untilMs) {
        response.writeHead(503, { 'content-type': 'text/plain' }).end('the service is down');
        return;
      }
      if (path === '/embed') {
        if (embeds.available(nowMs) < 1) {
          response
            .writeHead(429, { 'content-type': 'text/plain', 'retry-after': String(RETRY_AFTER_S) })
            .end('too many calls');
          return;
        }
        embeds.take(1, nowMs);
      }
      await sleep(clock, answerMs, ended.signal);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    };
    const server = await localServer((request, response) => {
      request.resume();
      answer(request.url ?? '/', response).catch(() => response.destroy());
    });
    return new FlakyServer(server, ended, outage);
  }

  get url(): string {
    return this.#server.url;
  }

  /** Epoch ms until which it is broken. */
  breakUntil(atMs: number): void {
    this.#outage.untilMs = atMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('the incident is over'));
    await this.#server[Symbol.asyncDispose]();
  }
}
