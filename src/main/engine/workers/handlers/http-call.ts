// One call over HTTP, from connection to the end of the answer. Node's own client rather than fetch: fetch gives up on an
// answer after five minutes, and its connections are nobody's to close.
import {
  type Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http';
import { request as requestTls } from 'node:https';

/** Of an answer; what is longer is cut off there, with its connection. */
const READ_BYTES = 1024 * 1024;
const KEPT_BYTES = 4 * 1024;

export interface Call {
  url: URL;
  method: string;
  headers: Record<string, string>;
  body: string | null;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Its first 4 KB. */
  body: string;
}

export interface CallUnderWay {
  /** Resolves when the connection stands, at once for one that was kept. */
  connected: Promise<undefined>;
  /** Rejects with the error of the network. After an abort, too: look at the signal first. */
  answered: Promise<Answer>;
  /** It failed because the other side closed a kept connection just as it was used again: worth a second try. */
  readonly stale: boolean;
}

/** Throws what Node throws for headers that cannot be sent. */
export function call({ url, method, headers, body }: Call, agent: Agent, signal: AbortSignal): CallUnderWay {
  const open = url.protocol === 'https:' ? requestTls : request;
  const under = open(url, { method, headers, agent, signal });
  const connected = Promise.withResolvers<undefined>();
  const answered = Promise.withResolvers<Answer>();
  let stale = false;
  under.once('socket', (socket) => {
    if (!socket.connecting) connected.resolve(undefined);
    else
      socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () =>
        connected.resolve(undefined),
      );
  });
  under.once('response', (response) => read(response, under, answered));
  // Also after the answer: the rest of a request that nobody reads.
  under.on('error', (error: NodeJS.ErrnoException) => {
    stale = under.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
    connected.reject(error);
    answered.reject(error);
  });
  under.end(body ?? undefined);
  // Whoever awaits the first alone must not leave the second unhandled.
  answered.promise.catch(() => undefined);
  return {
    connected: connected.promise,
    answered: answered.promise,
    get stale() {
      return stale;
    },
  };
}

function read(response: IncomingMessage, under: ClientRequest, answered: PromiseWithResolvers<Answer>): void {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let readBytes = 0;
  const done = (): void =>
    answered.resolve({
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: Buffer.concat(kept).toString('utf8'),
    });
  response.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, KEPT_BYTES - keptBytes);
    if (part.length > 0) kept.push(Buffer.from(part));
    keptBytes += part.length;
    readBytes += chunk.length;
    if (readBytes <= READ_BYTES) return;
    done();
    under.destroy();
  });
  response.once('end', done);
  response.on('error', (error) => answered.reject(error));
}
