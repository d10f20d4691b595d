// Long operations over many jobs, run as jobs of the engine itself: they survive a restart, wait their turn, show how
// far they are, and can be stopped.
//
//   begin ─▶ waiting ─▶ running ─▶ done
//               ▲  │        │ ├──▶ failed (after its last attempt)
//               └──┼────────┘ └──▶ stopped      the engine ends or the store fails: it waits and goes on
//                  └──stop──▶ stopped
import { z } from 'zod';
import type { Bulk } from '../../contract/engine-report.ts';
import { jobFilterSchema } from '../../contract/engine-report.ts';
import { HeadwayError } from '../../contract/errors.ts';
import { jobKindSchema } from '../../contract/job-kinds.ts';
import type { BulkKind } from './admin.ts';
import type { EngineKind } from './engine-parts.ts';
import type { JobRecord, NewJob } from './job.ts';
import type { JobFilter, Store } from './stores/store.ts';
import { type Handler, type HandlerContext, type HandlerJob, JobError } from './workers/handler.ts';

/** The kind of these jobs, and whose they are. */
export const BULK_KIND = 'headway.bulk';
export const BULK_TENANT = 'headway';
/** Jobs changed in one transaction: short enough that claims hardly wait for it. */
const BATCH = 200;
/** Operations remembered for the window, newest first. */
const REMEMBERED = 20;
/** Before what engineers declare: it is somebody's hand on the queue. */
const PRIORITY = 1000;

const payloadSchema = z.object({
  what: z.enum(['requeue', 'discard', 'release', 'cancel']),
  filter: jobFilterSchema,
  /** When it was asked for, epoch ms of the store's clock: what dies after that is not meant. */
  askedAtMs: z.number(),
});
type Payload = z.infer<typeof payloadSchema>;

const policy: EngineKind['policy'] = jobKindSchema.omit({ handler: true }).parse({
  kind: BULK_KIND,
  timeouts: { jobSeconds: 6 * 3600 },
  retry: { maxAttempts: 5 },
  concurrency: 2,
  priority: PRIORITY,
});

type BulkStore = Pick<
  Store,
  'time' | 'deadJobs' | 'blockedJobs' | 'deadGroups' | 'requeue' | 'discard' | 'unblock'
>;

/** The long operations of one engine. */
export class Bulks {
  readonly #store: BulkStore;
  readonly #wake: () => void;
  readonly #known = new Map<number, Bulk>();
  /** To end those that run. */
  readonly #running = new Map<number, AbortController>();

  /** `wake` tells the engine that jobs became ready. */
  constructor(store: BulkStore, wake: () => void) {
    this.#store = store;
    this.#wake = wake;
  }

  /** What the engine needs to run them. */
  get kind(): EngineKind {
    const handler: Handler = {
      kind: BULK_KIND,
      runsIn: 'engine',
      run: (job, context) => this.#run(job, context),
    };
    return { policy, handler };
  }

  /** The job that does it: enqueue it, then tell `begun` its id. */
  async job(what: BulkKind, filter: JobFilter): Promise<NewJob> {
    const payload: Payload = {
      what,
      filter: { ...filter, ids: filter.ids && [...filter.ids] },
      askedAtMs: await this.#store.time(),
    };
    return { tenantId: BULK_TENANT, kind: BULK_KIND, payload, priority: PRIORITY };
  }

  begun(jobId: number, what: BulkKind, filter: JobFilter, nowMs: number): void {
    // It may have been claimed and begun before its id was told here.
    if (!this.#known.has(jobId)) this.#remember(jobId, what, filter, nowMs);
  }

  /** Newest first. One that waits since before a restart is listed when it goes on. */
  list(): Bulk[] {
    return [...this.#known.values()].reverse();
  }

  /** What is changed stays changed. Throws `not-found` for one that is not known; does nothing to one that has ended. */
  stop(jobId: number): void {
    const bulk = this.#known.get(jobId);
    if (!bulk)
      throw new HeadwayError(
        'not-found',
        `There is no long operation ${jobId}. It may have ended before a restart.`,
      );
    if (bulk.state !== 'waiting' && bulk.state !== 'running') return;
    this.#known.set(jobId, { ...bulk, state: 'stopped' });
    this.#running.get(jobId)?.abort();
  }

  /** A stopped one ends as done, so that it is not tried again. */
  async #run(job: HandlerJob, context: HandlerContext): Promise<void> {
    const parsed = payloadSchema.safeParse(job.payload);
    if (!parsed.success)
      throw new JobError('permanent', `not a long operation: ${z.prettifyError(parsed.error)}`);
    const { what, filter, askedAtMs } = parsed.data;
    const bulk = this.#known.get(job.id) ?? this.#remember(job.id, what, filter, askedAtMs);
    if (bulk.state === 'stopped') return;
    const stopping = new AbortController();
    this.#running.set(job.id, stopping);
    this.#change(job.id, { state: 'running', error: null });
    const signal = AbortSignal.any([context.signal, stopping.signal]);
    try {
      await this.#work(job.id, parsed.data, signal, context);
      if (!stopping.signal.aborted) this.#change(job.id, { state: 'done' });
    } catch (error) {
      if (stopping.signal.aborted) return;
      const isLast = job.attempt >= policy.retry.maxAttempts && !context.signal.aborted;
      this.#change(job.id, {
        state: isLast ? 'failed' : 'waiting',
        error: context.signal.aborted ? null : error instanceof Error ? error.message : String(error),
      });
      throw error;
    } finally {
      this.#running.delete(job.id);
    }
  }

  /**
   * Goes through the jobs once by id, and leaves out what died after it was asked for: a job that is requeued and dies
   * again is not requeued for ever, also when this begins anew after a restart.
   */
  async #work(jobId: number, payload: Payload, signal: AbortSignal, context: HandlerContext): Promise<void> {
    const { what, filter, askedAtMs } = payload;
    const total = await this.#total(payload);
    let afterId = 0;
    for (;;) {
      signal.throwIfAborted();
      const page = await this.#page(what, filter, afterId);
      const last = page.at(-1);
      if (!last) return;
      afterId = last.id;
      const ids = page.filter((job) => endedAtMs(job) <= askedAtMs).map(({ id }) => id);
      if (ids.length === 0) continue;
      const changed = (this.#known.get(jobId)?.changed ?? 0) + (await this.#apply(what, { ...filter, ids }));
      this.#change(jobId, { changed });
      this.#wake();
      context.progress(total === null ? 0 : Math.min(1, changed / Math.max(1, total)), `${changed} jobs`);
    }
  }

  async #page(what: BulkKind, filter: JobFilter, afterId: number): Promise<JobRecord[]> {
    if (what === 'requeue' || what === 'discard') return this.#store.deadJobs(filter, afterId, BATCH);
    const blocked = await this.#store.blockedJobs(filter, afterId, BATCH);
    return blocked.map(({ job }) => job);
  }

  async #apply(what: BulkKind, filter: JobFilter): Promise<number> {
    const nowMs = await this.#store.time();
    switch (what) {
      case 'requeue':
        return this.#store.requeue(filter, BATCH, nowMs);
      case 'discard':
        return this.#store.discard(filter, BATCH, nowMs);
      case 'release':
      case 'cancel':
        return this.#store.unblock(filter, what, BATCH, nowMs);
    }
  }

  /** How many jobs it will change, roughly; null where that would have to be counted. */
  async #total({ what, filter }: Payload): Promise<number | null> {
    if (filter.ids) return filter.ids.length;
    if (filter.tenantId !== undefined || what === 'release' || what === 'cancel') return null;
    const groups = await this.#store.deadGroups(1_000);
    return groups
      .filter(({ kind, cause }) => (filter.kind ?? kind) === kind && (filter.cause ?? cause) === cause)
      .reduce((sum, { count }) => sum + count, 0);
  }

  #remember(jobId: number, what: BulkKind, filter: JobFilter, startedAtMs: number): Bulk {
    const bulk: Bulk = {
      jobId,
      what,
      filter: { ...filter, ids: filter.ids && [...filter.ids] },
      state: 'waiting',
      changed: 0,
      startedAtMs,
      error: null,
    };
    this.#known.set(jobId, bulk);
    for (const [id, { state }] of this.#known) {
      if (this.#known.size <= REMEMBERED) break;
      if (state !== 'waiting' && state !== 'running') this.#known.delete(id);
    }
    return bulk;
  }

  #change(jobId: number, change: Partial<Bulk>): void {
    const bulk = this.#known.get(jobId);
    if (bulk) this.#known.set(jobId, { ...bulk, ...change });
  }
}

/** When a job's last attempt ended; 0 for one that never ran. */
function endedAtMs({ failedAttempts: [last] }: JobRecord): number {
  return last ? last.startedAtMs + last.runMs : 0;
}
