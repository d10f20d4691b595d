// Incident 3, a job that hung for ever: a script hangs on some documents and holds its worker, and grows while it does.
// Every job is a real process.
import { type JobKind, jobKindSchema } from '../../../contract/job-kinds.ts';
import type { TenantInfo } from '../../../core/sample.ts';
import type { EngineKind } from '../engine-parts.ts';
import { type Handler, type HandlerContext, type HandlerJob, JobError } from '../workers/handler.ts';
import { type DocumentDoes, GROWS_TO_MEGABYTES, writeDocumentScript } from './document-script.ts';
import type { IncidentPlay, Performance, Stage, Switches } from './incident-play.ts';
import { anyOf, nextArrivalMs, Streams } from './streams.ts';

const SPEED = 100;
const COUNT = 'count-pages';
const WORKERS = 4;
/** An ordinary document: under two minutes in the incident. */
const COUNT_MS = 2_000;
/** Keeps the four workers a quarter busy. */
const DOCUMENTS_PER_S = 0.5;
/** Nothing more is sent while so many documents wait. */
const LONGEST_BACKLOG = 100;
const FIRST_AFTER_MS = 4_000;
const EVERY_MS = 15_000;
/** Of growth: over the limit before the script's time is up. */
const STEP_MS = 400;

/** The incident's remedy: job 30 min, script 15 min, probe 13 min; alerts at 20 min. */
const MINUTE_S = 60 / SPEED;
const JOB_S = 30 * MINUTE_S;
const SCRIPT_S = 15 * MINUTE_S;
const PROBE_S = 13 * MINUTE_S;
const FOR_EVER_S = 7 * 86_400;
const LIMIT_MEGABYTES = 96;
const NO_LIMIT_MEGABYTES = 1_000_000;

const customers = [
  'atelier',
  'notary',
  'clinic',
  'museum',
  'surveyor',
  'publisher',
  'archive',
  'insurer',
] as const;
const tenants: TenantInfo[] = customers.map((name) => ({ id: name, name, detail: '' }));

export const incident3: IncidentPlay = {
  incident: 3,
  title: 'A script hangs and grows',
  story: `Every ${EVERY_MS / 1_000} s a document makes its script hang; every second one grows to ${GROWS_TO_MEGABYTES} MB as well. Watch the workers: as the incident was, one after another is held for good.`,
  speed: SPEED,
  expectedMs: null,
  tenantWord: 'customer',
  tenants,
  canaryTenants: [],
  switches: [
    {
      id: 'timeouts',
      label: 'Timeouts',
      options: [
        { value: 'none', label: 'none' },
        { value: 'layered', label: `job ${JOB_S} s, script ${SCRIPT_S} s` },
      ],
    },
    {
      id: 'memory',
      label: 'Memory',
      options: [
        { value: 'none', label: 'no limit' },
        { value: 'limited', label: `${LIMIT_MEGABYTES} MB` },
      ],
    },
    {
      id: 'empty',
      label: 'No output',
      options: [
        { value: 'error', label: 'an error' },
        { value: 'default', label: 'default result' },
      ],
    },
  ],
  action: { label: 'Send one that hangs', hint: 'A document that makes its script hang' },
  rules: {
    lag: { warning: 18, critical: 30, forSeconds: 1, keepFiringForSeconds: 3 },
    runningFor: { warning: 20 * MINUTE_S, critical: 30 * MINUTE_S, keepFiringForSeconds: 3 },
    workerMemory: { forSeconds: 0, keepFiringForSeconds: 3 },
    stageP95: { enabled: false },
  },
  tuning: () => ({ workers: WORKERS, order: 'fair', tenants: {} }),
  perform: (stage) => new Promise((resolve) => resolve(new HangingScript(stage))),
};

/** A document as it is enqueued. */
interface Document {
  name: string;
  does: DocumentDoes;
}

class HangingScript implements Performance {
  readonly #stage: Stage;
  readonly #streams: Streams;
  readonly #script: ReturnType<typeof writeDocumentScript>;
  /** Made of the switches in force; the last one is that of the jobs that start now. */
  readonly #handlers: Handler[] = [];
  /** Documents that hang and have not been got rid of, with what they do. */
  readonly #hanging = new Map<string, DocumentDoes>();
  /** Ends what runs under switches that hold no more. */
  #recall = new AbortController();
  #sent = 0;
  nextAtMs: number;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#streams = new Streams(stage.clock, (what, cause) =>
      stage.problem(`the rehearsal could not send its ${what}`, cause),
    );
    this.#script = writeDocumentScript(stage.folder, {
      countMs: COUNT_MS * stage.pace,
      stepMs: STEP_MS * stage.pace,
    });
    this.nextAtMs = stage.clock.now() + FIRST_AFTER_MS * stage.pace;
  }

  kinds(switches: Switches): EngineKind[] {
    const kind = this.#kind(switches);
    const handler = this.#stage.handler(kind);
    this.#handlers.push(handler);
    return [{ policy: withoutHandler(kind), handler: this.#watched(handler) }];
  }

  begin(): void {
    const { random, pace } = this.#stage;
    this.#streams.every(
      'documents',
      () => nextArrivalMs(DOCUMENTS_PER_S, random) * pace,
      // One in ten is a scan without text: the script ends without a word.
      () => this.#send(random() < 0.1 ? 'nothing' : 'count'),
    );
    this.#schedule(FIRST_AFTER_MS);
  }

  /** What hangs under the old switches is ended, and tried again under the new ones. */
  changed(_switches: Switches): void {
    this.#recall.abort(new JobError('transient', 'ended because the switches of the rehearsal changed'));
    this.#recall = new AbortController();
  }

  async act(): Promise<void> {
    this.#schedule(EVERY_MS);
    if (this.#hanging.size >= WORKERS) {
      this.#stage.note(`rehearsal: every worker is held by a script that hangs; no further one is sent`);
      return;
    }
    // Only one grows at a time: it is your memory.
    const isGrowing = [...this.#hanging.values()].includes('grow');
    await this.#send(isGrowing ? 'hang' : 'grow');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#streams.end();
    this.#recall.abort(new Error('the incident is over'));
    for (const handler of this.#handlers) await handler[Symbol.asyncDispose]?.();
  }

  async #send(does: DocumentDoes): Promise<void> {
    const { store, random } = this.#stage;
    const { tenants: depths } = await store.depths(0);
    if (depths.reduce((sum, { ready }) => sum + ready.value, 0) >= LONGEST_BACKLOG) return;
    const payload: Document = { name: `document-${(this.#sent += 1)}.pdf`, does };
    if (does === 'hang' || does === 'grow') {
      this.#hanging.set(payload.name, does);
      this.#stage.note(
        `rehearsal: ${payload.name} makes its script ${does === 'hang' ? 'hang' : 'hang and grow'}`,
      );
    }
    await this.#stage.enqueue([{ tenantId: anyOf(customers, random), kind: COUNT, payload }]);
  }

  /** Ends with the switches it began under, and tells when a document that hangs is got rid of. */
  #watched(handler: Handler): Handler {
    const run = async (job: HandlerJob, context: HandlerContext): Promise<void> => {
      // Only this incident's own jobs are of its kind.
      const { name, does } = job.payload as Document;
      const recall = this.#recall.signal;
      if (does === 'hang' || does === 'grow') this.#hanging.set(name, does);
      try {
        await handler.run(job, {
          signal: AbortSignal.any([context.signal, recall]),
          stage: (stage, part) => context.stage(stage, part),
          progress: (done, note) => context.progress(done, note),
        });
      } finally {
        this.#hanging.delete(name);
      }
    };
    return {
      kind: handler.kind,
      runsIn: handler.runsIn,
      run,
      use: (jobId) => handler.use?.(jobId) ?? null,
      recycle: () => handler.recycle?.(),
    };
  }

  #kind(switches: Switches): JobKind {
    const { pace } = this.#stage;
    const isLayered = switches['timeouts'] === 'layered';
    return jobKindSchema.parse({
      kind: COUNT,
      handler: {
        type: 'command',
        command: this.#script.command,
        env: this.#script.env,
        output: 'json',
        ...(switches['empty'] === 'default' && { defaultResult: { pages: null } }),
      },
      timeouts: isLayered
        ? { jobSeconds: JOB_S * pace, scriptSeconds: SCRIPT_S * pace, probeSeconds: PROBE_S * pace }
        : { jobSeconds: FOR_EVER_S },
      memory: { limitMegabytes: switches['memory'] === 'limited' ? LIMIT_MEGABYTES : NO_LIMIT_MEGABYTES },
      retry: {
        maxAttempts: 2,
        classes: { transient: { baseSeconds: pace }, timeout: { baseSeconds: pace } },
      },
    });
  }

  #schedule(inMs: number): void {
    this.nextAtMs = this.#stage.clock.now() + inMs * this.#stage.pace;
    this.#streams.once('hanging document', inMs * this.#stage.pace, () => this.act());
    this.#stage.changed();
  }
}

function withoutHandler({ handler: _, ...policy }: JobKind): Omit<JobKind, 'handler'> {
  return policy;
}
