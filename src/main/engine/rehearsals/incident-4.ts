// Incident 4, a failing dependency and its cascade: sync fails, and with it everything that waits for it. The service is
// a real HTTP server that breaks now and then, and limits the calls of its expensive part.
import { type JobKind, jobKindSchema } from '../../../contract/job-kinds.ts';
import { errorClassSchema } from '../../../core/error-class.ts';
import type { TenantInfo } from '../../../core/sample.ts';
import { sleep } from '../clock.ts';
import type { EngineKind } from '../engine-parts.ts';
import { type Handler, type HandlerContext, type HandlerJob, JobError } from '../workers/handler.ts';
import { FlakyServer } from './flaky-server.ts';
import type { IncidentPlay, Performance, Stage, Switches } from './incident-play.ts';
import { anyOf, nextArrivalMs, Streams } from './streams.ts';

const SPEED = 10;
/** Each needs the one before it, for the same user. */
const PHASES = ['sync', 'normalise', 'extract', 'embed', 'insight'] as const;
type Phase = (typeof PHASES)[number];
/** Phases that call the service; the others work here. */
const CALLS: ReadonlySet<Phase> = new Set(['sync', 'embed']);
const WORK_MS = 100;
const ANSWER_MS = 150;
/** One batch is a job of each phase. */
const BATCHES_PER_S = 0.8;
const EMBED_LIMIT = { starts: 4, perMs: 2_000 };
const WORKERS = 25;
/** Jobs at once of a phase without a throttle, and where the throttle begins. */
const AT_ONCE = 15;
const FIRST_OUTAGE_AFTER_MS = 5_000;
const OUTAGE_MS = 20_000;
const OUTAGE_EVERY_MS = 80_000;
/** Beyond so many dead jobs they are thrown away, with what they block: nobody else will. */
const MOST_DEAD = 400;

const users = [
  'ada',
  'bruno',
  'chiara',
  'dmitri',
  'elin',
  'farid',
  'greta',
  'hugo',
  'ines',
  'jonas',
] as const;
const tenants: TenantInfo[] = users.map((name) => ({ id: name, name, detail: '' }));

export const incident4: IncidentPlay = {
  incident: 4,
  title: 'A dependency fails, all behind it blocks',
  story: `The service behind sync breaks for ${OUTAGE_MS / 1_000} s. Watch the dead set and the blocked jobs: as the incident was, every sync gives up within seconds and blocks the four phases behind it.`,
  speed: SPEED,
  expectedMs: null,
  tenantWord: 'user',
  tenants,
  canaryTenants: [],
  switches: [
    {
      id: 'retry',
      label: 'Errors',
      options: [
        { value: 'alike', label: 'all alike, 10 s at most' },
        { value: 'by-class', label: 'by class' },
      ],
    },
    {
      id: 'breaker',
      label: 'Breaker',
      options: [
        { value: 'off', label: 'off' },
        { value: 'on', label: 'on' },
      ],
    },
    {
      id: 'throttle',
      label: 'At once',
      options: [
        { value: 'fixed', label: `${AT_ONCE}` },
        { value: 'adaptive', label: '5 to 25, adaptive' },
      ],
    },
  ],
  action: { label: 'Break it now', hint: `The service behind sync answers 503 for ${OUTAGE_MS / 1_000} s` },
  rules: {
    lag: { warning: 18, critical: 30, forSeconds: 1, keepFiringForSeconds: 3 },
    errorRate: { forSeconds: 5, keepFiringForSeconds: 5 },
    kindFailureRate: { forSeconds: 5, keepFiringForSeconds: 5 },
    stageP95: { enabled: false },
  },
  tuning: () => ({ workers: WORKERS, order: 'fair', tenants: {} }),
  perform: (stage) => FailingDependency.open(stage),
};

class FailingDependency implements Performance {
  readonly #stage: Stage;
  readonly #server: FlakyServer;
  readonly #streams: Streams;
  readonly #handlers: Handler[] = [];
  #batches = 0;
  nextAtMs: number;

  private constructor(stage: Stage, server: FlakyServer) {
    this.#stage = stage;
    this.#server = server;
    this.#streams = new Streams(stage.clock, (what, cause) =>
      stage.problem(`the rehearsal failed at its ${what}`, cause),
    );
    this.nextAtMs = stage.clock.now() + this.#ms(FIRST_OUTAGE_AFTER_MS);
  }

  static async open(stage: Stage): Promise<Performance> {
    const server = await FlakyServer.open({
      clock: stage.clock,
      answerMs: ANSWER_MS * stage.pace,
      limit: { starts: EMBED_LIMIT.starts, perMs: EMBED_LIMIT.perMs * stage.pace },
    });
    return new FailingDependency(stage, server);
  }

  kinds(switches: Switches): EngineKind[] {
    return PHASES.map((phase, i) => {
      const handler = CALLS.has(phase) ? this.#calls(phase, switches) : this.#works(phase);
      return { policy: this.#policy(phase, i, switches), handler };
    });
  }

  begin(): void {
    const { random } = this.#stage;
    this.#streams.every(
      'batches',
      () => this.#ms(nextArrivalMs(BATCHES_PER_S, random)),
      () => this.#send(),
    );
    this.#streams.every(
      'tidying',
      () => this.#ms(10_000),
      () => this.#tidy(),
    );
    this.#schedule(FIRST_OUTAGE_AFTER_MS);
  }

  changed(_switches: Switches): void {
    // What is dead stays dead until somebody requeues it, as it would be anywhere.
  }

  act(): Promise<void> {
    this.#schedule(OUTAGE_EVERY_MS);
    this.#server.breakUntil(this.#stage.clock.now() + this.#ms(OUTAGE_MS));
    this.#stage.note(`rehearsal: the service behind sync is down for ${this.#ms(OUTAGE_MS) / 1_000} s`);
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams.end();
    for (const handler of this.#handlers) await handler[Symbol.asyncDispose]?.();
    await this.#server[Symbol.asyncDispose]();
  }

  #send(): Promise<void> {
    const tenantId = anyOf(users, this.#stage.random);
    const batchId = `batch-${(this.#batches += 1)}`;
    return this.#stage.enqueue(
      PHASES.map((kind) => ({ tenantId, kind, batchId, payload: { user: tenantId, phase: kind } })),
    );
  }

  /** Blocked jobs go with the dead ones that they wait for. */
  async #tidy(): Promise<void> {
    const { store } = this.#stage;
    const { tenants: depths } = await store.depths(0);
    if (depths.reduce((sum, tenant) => sum + tenant.dead.value, 0) <= MOST_DEAD) return;
    const nowMs = await store.time();
    await store.unblock({}, 'cancel', 10 * MOST_DEAD, nowMs);
    await store.discard({}, 10 * MOST_DEAD, nowMs);
    this.#stage.note(`rehearsal: more than ${MOST_DEAD} jobs were dead; they were thrown away`);
  }

  #policy(phase: Phase, index: number, switches: Switches): Omit<JobKind, 'handler'> {
    const { pace } = this.#stage;
    const isByClass = switches['retry'] === 'by-class';
    // Ten times faster than the incident: at most 10 s apart, whatever went wrong.
    const alike = { retry: true, baseSeconds: 0.1 * pace, ceilingSeconds: 1 * pace };
    const before = PHASES[index - 1];
    return jobKindSchema.omit({ handler: true }).parse({
      kind: phase,
      timeouts: { jobSeconds: 20 },
      retry: isByClass
        ? {
            maxAttempts: 12,
            classes: {
              transient: { baseSeconds: 2 * pace, ceilingSeconds: 15 * pace },
              'rate-limit': { baseSeconds: 1 * pace, ceilingSeconds: 15 * pace },
            },
          }
        : {
            maxAttempts: 3,
            classes: Object.fromEntries(errorClassSchema.options.map((each) => [each, alike])),
          },
      concurrency: AT_ONCE,
      dependsOn: before ? [before] : [],
      ...(switches['throttle'] === 'adaptive' && {
        concurrency: WORKERS,
        throttle: { minimum: 5, start: AT_ONCE, maximum: WORKERS },
      }),
      ...(switches['breaker'] === 'on' &&
        CALLS.has(phase) && {
          breaker: {
            dependency: `${phase}-service`,
            minimumCalls: 4,
            windowSeconds: 6 * pace,
            openSeconds: 3 * pace,
          },
        }),
    });
  }

  #calls(phase: Phase, switches: Switches): Handler {
    const handler = this.#stage.handler(
      jobKindSchema.parse({ kind: phase, handler: { type: 'http', url: `${this.#server.url}/${phase}` } }),
    );
    this.#handlers.push(handler);
    return switches['retry'] === 'by-class' ? handler : withErrorsAlike(handler);
  }

  /** The queue, its order and its phases are real; what a phase would compute is not. */
  #works(phase: Phase): Handler {
    const { clock, random } = this.#stage;
    const run = (_job: HandlerJob, { stage, signal }: HandlerContext): Promise<void> =>
      stage(phase, () => sleep(clock, this.#ms(WORK_MS * (0.5 + random())), signal));
    return { kind: phase, runsIn: 'engine', run };
  }

  #ms(ms: number): number {
    return ms * this.#stage.pace;
  }

  #schedule(inMs: number): void {
    this.nextAtMs = this.#stage.clock.now() + this.#ms(inMs);
    this.#streams.once('outage', this.#ms(inMs), () => this.act());
    this.#stage.changed();
  }
}

/** As the incident was: what kind of error it is, and when to come again, is not listened to. */
function withErrorsAlike(handler: Handler): Handler {
  return {
    kind: handler.kind,
    runsIn: handler.runsIn,
    async run(job, context) {
      try {
        await handler.run(job, context);
      } catch (error) {
        if (error instanceof JobError) throw new JobError('transient', error.message, { cause: error });
        throw error;
      }
    },
  };
}
