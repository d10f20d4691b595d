// The message server of incident 2: every answer costs it a moment, and it hands them out in one of two ways.
import { type Clock, sleep } from '../clock.ts';
import { AnswerSender } from './answer-sender.ts';
import { type LocalServer, localServer } from './local-server.ts';

export type AnswerMode = 'whole' | 'streamed';

export class QueueServer implements AsyncDisposable {
  /** How answers are sent from now on. */
  answers: AnswerMode;
  readonly #server: LocalServer;
  readonly #ended: AbortController;

  private constructor(server: LocalServer, answers: AnswerMode, ended: AbortController) {
    this.#server = server;
    this.answers = answers;
    this.#ended = ended;
  }

  /** `POST /pop` answers `popBytes` after `popMs`; `GET /large?bytes=N` answers N bytes. */
  static async open(options: {
    clock: Clock;
    popMs: number;
    popBytes: number;
    answers: AnswerMode;
  }): Promise<QueueServer> {
    const { clock, popMs, popBytes } = options;
    const sender = new AnswerSender();
    const ended = new AbortController();
    const server = await localServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
      // The body is not needed, but a request whose body is never read keeps its connection busy.
      request.resume();
      const bytes = pathname === '/large' ? Number(searchParams.get('bytes')) : popBytes;
      sleep(clock, popMs, ended.signal)
        .then(() => sender.send(response, bytes, open.answers))
        .catch(() => response.destroy());
    });
    const open = new QueueServer(server, options.answers, ended);
    return open;
  }

  get url(): string {
    return this.#server.url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new Error('the incident is over'));
    await this.#server[Symbol.asyncDispose]();
  }
}
