// Jobs that are calls over HTTP: the payload is sent, and the answer's status tells what became of the job.
import { Agent } from 'node:http';
import { Agent as AgentTls } from 'node:https';
import type { HandlerSettings, JobKind } from '../../../../contract/job-kinds.ts';
import type { Clock } from '../../clock.ts';
import { type Handler, type HandlerContext, type HandlerJob, JobError } from '../handler.ts';
import { deadline } from './deadline.ts';
import { type DeclaredValues, type ReadSecret, resolveValues } from './declared-values.ts';
import { type Answer, type Call, call, type CallUnderWay } from './http-call.ts';
import { verdictOnAnswer, verdictOnNetworkError } from './http-verdict.ts';

/** A connection that nobody used for so long is closed. */
const IDLE_CONNECTION_MS = 30_000;
const REDIRECTS = 5;

type HttpSettings = Extract<HandlerSettings, { type: 'http' }>;
export type HttpKind = Pick<JobKind, 'kind' | 'timeouts'> & { handler: HttpSettings };

export interface HttpParts {
  secret: ReadSecret;
  clock: Clock;
}

export class HttpHandler implements Handler {
  readonly kind: string;
  readonly runsIn = 'http';
  readonly #declared: HttpKind;
  readonly #parts: HttpParts;
  /** Connections of this kind alone: they are closed with it. */
  readonly #agent: Agent;
  readonly #closing = new AbortController();

  constructor(declared: HttpKind, parts: HttpParts) {
    this.kind = declared.kind;
    this.#declared = declared;
    this.#parts = parts;
    const options = { keepAlive: true, timeout: IDLE_CONNECTION_MS };
    this.#agent = declared.handler.url.startsWith('https:') ? new AgentTls(options) : new Agent(options);
  }

  async run(job: HandlerJob, { signal, stage }: HandlerContext): Promise<void> {
    const { handler, timeouts } = this.#declared;
    const what = (name: string): string => `the header ${name} of jobs of kind "${this.kind}"`;
    const declared = await resolveValues(handler.headers, this.#parts.secret, what);
    using limit = deadline(this.#parts.clock, timeouts.scriptSeconds, signal, this.#closing.signal);
    try {
      await this.#call(this.#first(job.payload, declared), declared, limit.signal, stage);
    } catch (error) {
      if (limit.passed) {
        const seconds = timeouts.scriptSeconds ?? 0;
        throw new JobError(
          'timeout',
          `${nameOf(this.#first(null, declared))} had no answer within ${seconds} s (scriptSeconds)`,
        );
      }
      limit.signal.throwIfAborted();
      throw error;
    }
  }

  /** Connections that are kept for later are closed. */
  recycle(): void {
    for (const socket of Object.values(this.#agent.freeSockets).flat()) socket?.destroy();
  }

  /** Ends the calls that are under way, and closes every connection. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error(`the handler of jobs of kind "${this.kind}" was closed`));
    this.#agent.destroy();
    return Promise.resolve();
  }

  #first(payload: unknown, { values }: DeclaredValues): Call {
    const { url, method, body } = this.#declared.handler;
    const headers = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]),
    );
    // A GET with a body means nothing to a server.
    if (body === 'nothing' || method === 'GET') return { url: new URL(url), method, headers, body: null };
    const text = JSON.stringify(payload);
    return {
      url: new URL(url),
      method,
      headers: {
        'content-type': 'application/json',
        ...headers,
        'content-length': String(Buffer.byteLength(text)),
      },
      body: text,
    };
  }

  /** Follows redirects to the same server: headers with secrets go to no other. */
  async #call(
    first: Call,
    { hide }: DeclaredValues,
    signal: AbortSignal,
    stage: HandlerContext['stage'],
  ): Promise<void> {
    let next = first;
    for (let left = REDIRECTS; ; left--) {
      const answer = await this.#answerTo(next, signal, stage);
      const target = redirectOf(next, answer);
      if (!target) {
        const failure = verdictOnAnswer(answer, nameOf(next), hide, this.#parts.clock.now());
        if (failure) throw failure;
        return;
      }
      const refused = `${nameOf(next)} redirects`;
      if (target.url.origin !== next.url.origin)
        throw new JobError(
          'permanent',
          `${refused} to another server, ${target.url.origin}: declare that address instead`,
        );
      if (left === 0) throw new JobError('permanent', `${refused} more than ${REDIRECTS} times`);
      next = target;
    }
  }

  async #answerTo(next: Call, signal: AbortSignal, stage: HandlerContext['stage']): Promise<Answer> {
    for (let again = true; ; again = false) {
      signal.throwIfAborted();
      let under: CallUnderWay | null = null;
      try {
        const sent = (under = call(next, this.#agent, signal));
        await stage('connect', () => sent.connected);
        return await stage('response', () => sent.answered);
      } catch (error) {
        signal.throwIfAborted();
        if (again && under?.stale) continue;
        throw verdictOnNetworkError(error as NodeJS.ErrnoException, nameOf(next), next.url.host);
      }
    }
  }
}

/** Without user, password and query: they may be secrets. */
const nameOf = ({ method, url }: Pick<Call, 'method' | 'url'>): string =>
  `${method} ${url.origin}${url.pathname}`;

/** Where an answer sends the call; null when it does not. 307 and 308 keep method and body, the others make it a GET. */
function redirectOf({ url, method, headers, body }: Call, answer: Answer): Call | null {
  const { location } = answer.headers;
  if (location === undefined || ![301, 302, 303, 307, 308].includes(answer.status)) return null;
  if (!URL.canParse(location, url.href)) return null;
  const target = new URL(location, url);
  if (answer.status === 307 || answer.status === 308) return { url: target, method, headers, body };
  const { 'content-length': _length, 'content-type': _type, ...rest } = headers;
  return { url: target, method: 'GET', headers: rest, body: null };
}
