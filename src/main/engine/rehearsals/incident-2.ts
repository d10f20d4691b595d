// Incident 2, a message queue held at one core: producers push faster than one worker takes, and one slow consumer of a
// large answer holds up all others. The server, its sockets and the slow consumer are real.
import { availableParallelism } from 'node:os';
import { jobKindSchema } from '../../../contract/job-kinds.ts';
import type { TenantInfo } from '../../../core/sample.ts';
import type { EngineKind, EngineTuning } from '../engine-parts.ts';
import type { Handler } from '../workers/handler.ts';
import type { IncidentPlay, Performance, Stage, Switches } from './incident-play.ts';
import { type AnswerMode, QueueServer } from './queue-server.ts';
import { readSlowly } from './slow-consumer.ts';
import { anyOf, nextArrivalMs, Streams } from './streams.ts';

const SPEED = 10;
const POP = 'pop';
/** What the server takes for an ordinary batch, before it answers; the incident's best pop took 290 ms. */
const POP_MS = 200;
const POP_BYTES = 8 * 1024;
/** One worker takes 5 batches a second, two take 10. */
const PUSHED_PER_S = 6;
/** Producers wait while so many batches wait. */
const LONGEST_BACKLOG = 400;
/** More than the sockets of any system hold, so that it is the consumer who is waited for. */
const LARGE_BYTES = 16 * 1024 ** 2;
const SLOW_BYTES_PER_S = 1024 ** 2;
const SLOW_EVERY_MS = 60_000;
const FIRST_SLOW_AFTER_MS = 8_000;
const SLOW_QUEUE = 'reports';
/** "One per core"; on a single core two, for they mostly wait. */
const CORES = Math.max(2, availableParallelism());

const queues = ['orders', 'payments', 'stock', SLOW_QUEUE, 'mail', 'search', 'audit', 'webhooks'] as const;
const tenants: TenantInfo[] = queues.map((name) => ({ id: name, name, detail: '' }));

const policy = {
  kind: POP,
  // A stalled pop is waited for, as the incident's consumers did.
  timeouts: { jobSeconds: 60, scriptSeconds: 50 },
  retry: { maxAttempts: 3 },
};

export const incident2: IncidentPlay = {
  incident: 2,
  title: 'A slow consumer holds up the queue',
  story: `Producers push ${PUSHED_PER_S} batches a second, one worker takes ${1_000 / POP_MS}; then a slow consumer of ${SLOW_QUEUE} reads ${LARGE_BYTES / 1024 ** 2} MB. Watch the lag of all queues and how long a pop takes.`,
  speed: SPEED,
  expectedMs: null,
  tenantWord: 'queue',
  tenants,
  canaryTenants: [],
  switches: [
    {
      id: 'workers',
      label: 'Workers',
      options: [
        { value: 'one', label: '1' },
        { value: 'per-core', label: `${CORES}, one per core` },
      ],
    },
    {
      id: 'answers',
      label: 'Large answers',
      options: [
        { value: 'whole', label: 'whole, in turn' },
        { value: 'streamed', label: 'streamed, 64 KB' },
      ],
    },
  ],
  action: {
    label: 'Slow consumer now',
    hint: `A consumer of ${SLOW_QUEUE} asks for ${LARGE_BYTES / 1024 ** 2} MB and reads 1 MB a second`,
  },
  rules: {
    lag: { warning: 18, critical: 30, forSeconds: 1, keepFiringForSeconds: 3 },
    stageP95: { forSeconds: 5, keepFiringForSeconds: 5 },
  },
  tuning: (switches): EngineTuning => ({
    workers: switches['workers'] === 'per-core' ? CORES : 1,
    order: 'fair',
    tenants: {},
  }),
  perform: (stage, switches) => SlowConsumer.open(stage, switches),
};

const answersOf = (switches: Switches): AnswerMode =>
  switches['answers'] === 'streamed' ? 'streamed' : 'whole';

class SlowConsumer implements Performance {
  readonly #stage: Stage;
  readonly #server: QueueServer;
  readonly #handler: Handler;
  readonly #streams: Streams;
  readonly #ended = new AbortController();
  #reading: Promise<void> | null = null;
  #isFull = false;
  nextAtMs: number;

  private constructor(stage: Stage, server: QueueServer) {
    this.#stage = stage;
    this.#server = server;
    this.#handler = stage.handler(
      jobKindSchema.parse({ ...policy, handler: { type: 'http', url: `${server.url}/pop` } }),
    );
    this.#streams = new Streams(stage.clock, (what, cause) =>
      stage.problem(`the rehearsal failed at its ${what}`, cause),
    );
    this.nextAtMs = stage.clock.now() + FIRST_SLOW_AFTER_MS * stage.pace;
  }

  static async open(stage: Stage, switches: Switches): Promise<Performance> {
    await using undo = new AsyncDisposableStack();
    const server = undo.use(
      await QueueServer.open({
        clock: stage.clock,
        popMs: POP_MS * stage.pace,
        popBytes: POP_BYTES,
        answers: answersOf(switches),
      }),
    );
    const performance = new SlowConsumer(stage, server);
    undo.move();
    return performance;
  }

  kinds(): EngineKind[] {
    return [{ policy: jobKindSchema.omit({ handler: true }).parse(policy), handler: this.#handler }];
  }

  begin(): void {
    const { random, store } = this.#stage;
    this.#streams.every(
      'batches',
      () => this.#ms(nextArrivalMs(PUSHED_PER_S, random)),
      async () => {
        if (this.#isFull) return;
        const tenantId = anyOf(queues, random);
        await this.#stage.enqueue([{ tenantId, kind: POP, payload: { queue: tenantId } }]);
      },
    );
    this.#streams.every(
      'producers',
      () => this.#ms(2_000),
      async () => {
        const { tenants: depths } = await store.depths(0);
        const isFull = depths.reduce((sum, { ready }) => sum + ready.value, 0) >= LONGEST_BACKLOG;
        if (isFull && !this.#isFull)
          this.#stage.note(`rehearsal: ${LONGEST_BACKLOG} batches wait, producers wait too`);
        this.#isFull = isFull;
      },
    );
    this.#schedule(FIRST_SLOW_AFTER_MS);
  }

  changed(switches: Switches): void {
    this.#server.answers = answersOf(switches);
  }

  act(): Promise<void> {
    this.#schedule(SLOW_EVERY_MS);
    if (this.#reading) {
      this.#stage.note('rehearsal: the slow consumer still reads');
      return Promise.resolve();
    }
    const { clock } = this.#stage;
    const beginMs = clock.now();
    const megabytes = LARGE_BYTES / 1024 ** 2;
    this.#stage.note(`rehearsal: a slow consumer of ${SLOW_QUEUE} asks for ${megabytes} MB`);
    this.#reading = readSlowly(`${this.#server.url}/large?bytes=${LARGE_BYTES}`, {
      bytesPerS: SLOW_BYTES_PER_S / this.#stage.pace,
      clock,
      signal: this.#ended.signal,
    })
      .then(() => {
        const seconds = ((clock.now() - beginMs) / 1_000).toFixed(1);
        this.#stage.note(`rehearsal: the slow consumer has its ${megabytes} MB after ${seconds} s`);
      })
      .catch((error: unknown) => {
        if (!this.#ended.signal.aborted) this.#stage.problem('the slow consumer failed', error);
      })
      .finally(() => (this.#reading = null));
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams.end();
    this.#ended.abort();
    await this.#handler[Symbol.asyncDispose]?.();
    await this.#server[Symbol.asyncDispose]();
    await this.#reading;
  }

  #ms(ms: number): number {
    return ms * this.#stage.pace;
  }

  #schedule(inMs: number): void {
    this.nextAtMs = this.#stage.clock.now() + this.#ms(inMs);
    this.#streams.once('slow consumer', this.#ms(inMs), () => this.act());
    this.#stage.changed();
  }
}
