// What a person may see and do with the jobs of a headless engine: straight on its store, whichever machine it works on.
import { readEngineReport, type Bulk, type EngineView } from '../../contract/engine-report.ts';
import { HeadwayError } from '../../contract/errors.ts';
import { sumCounts } from '../../core/count.ts';
import type { BulkKind, EngineAdmin, JobDetail } from './admin.ts';
import { Bulks } from './bulk.ts';
import type { Enqueued, JobRecord, NewJob } from './job.ts';
import { PAYLOAD_SHOWN_CHARS, shownPayload } from '../../core/shown-payload.ts';
import type {
  BlockedJob,
  DeadGroup,
  Hold,
  HoldScope,
  JobFilter,
  JobsListed,
  ListRequest,
  Owner,
  Store,
} from './stores/store.ts';

const GROUPS_SHOWN = 100;
/** Long operations that were begun here and are remembered. */
const BULKS_REMEMBERED = 20;
/** An engine whose word is older says nothing of what it can do now. */
const HEARD_LATELY_MS = 5 * 60_000;

export interface StoreAdminParts {
  /** Names the connection, for people. */
  name: string;
  /** Whether its safety lets nothing be changed. */
  isReadOnly: boolean;
  /** Opens the store; whoever asked disposes of it. */
  open: (access: 'look' | 'change') => Promise<Store>;
}

type Engines = EngineView['engines'];

/**
 * Looks through one store that stays open, and opens another one for each change. Calls reject as the store does, and
 * with `unauthorized` for changes of a read-only connection.
 */
export class StoreAdmin implements EngineAdmin, AsyncDisposable {
  readonly #parts: StoreAdminParts;
  readonly #bulks = new Map<number, Bulk>();
  #looking: Promise<Store> | null = null;

  constructor(parts: StoreAdminParts) {
    this.#parts = parts;
  }

  async view(signal: AbortSignal): Promise<EngineView> {
    return this.#look(async (store) => {
      const [{ tenants }, owners, holds, deadGroups, asOfMs] = await Promise.all([
        store.depths(0),
        store.owners(),
        store.holds(),
        store.deadGroups(GROUPS_SHOWN),
        store.time(),
      ]);
      signal.throwIfAborted();
      const engines = enginesOf(owners, asOfMs);
      return {
        asOfMs,
        store: store.description,
        place: 'database',
        engines,
        holds,
        totals: {
          ready: sumCounts(tenants.map(({ ready }) => ready)),
          delayed: sumCounts(tenants.map(({ delayed }) => delayed)),
          running: sumCounts(tenants.map(({ running }) => running)),
          waiting: sumCounts(tenants.map(({ waiting }) => waiting)),
          blocked: sumCounts(tenants.map(({ blocked }) => blocked)),
          dead: sumCounts(tenants.map(({ dead }) => dead)),
        },
        deadGroups,
        bulks: await this.#bulksNow(store, engines),
        recent: [],
        problem: null,
      };
    }, signal);
  }

  deadGroups(limit: number): Promise<DeadGroup[]> {
    return this.#look((store) => store.deadGroups(limit));
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return this.#look((store) => store.deadJobs(filter, afterId, limit));
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    return this.#look((store) => store.blockedJobs(filter, afterId, limit));
  }

  list(request: ListRequest): Promise<JobsListed> {
    return this.#look((store) => store.list(request));
  }

  /** What its kind wants blacked out is known to its engine alone: here fields that look like secrets are. */
  job(id: number): Promise<JobDetail> {
    return this.#look(async (store) => {
      const job = await store.job(id);
      // One more than is shown, to tell whether there is more.
      const text = job && (await store.payload(id, PAYLOAD_SHOWN_CHARS + 1));
      return { job, payload: text === null ? null : shownPayload(text, []), recent: [] };
    });
  }

  async hold(hold: Omit<Hold, 'sinceMs'>): Promise<void> {
    await this.#change(async (store) => store.hold({ ...hold, sinceMs: await store.time() }));
  }

  unhold(scope: HoldScope): Promise<boolean> {
    return this.#change((store) => store.unhold(scope));
  }

  /** Any engine on the store takes it up: all of them know its kind. */
  bulk(what: BulkKind, filter: JobFilter): Promise<number> {
    return this.#change(async (store) => {
      const nowMs = await store.time();
      const job = await new Bulks(store, () => undefined).job(what, filter);
      const [enqueued] = await store.enqueue([job], nowMs);
      if (enqueued === undefined) throw new Error('the store enqueued nothing');
      this.#bulks.set(enqueued.id, {
        jobId: enqueued.id,
        what,
        filter: { ...filter, ids: filter.ids && [...filter.ids] },
        state: 'waiting',
        changed: 0,
        startedAtMs: nowMs,
        error: null,
      });
      for (const id of this.#bulks.keys()) if (this.#bulks.size > BULKS_REMEMBERED) this.#bulks.delete(id);
      return enqueued.id;
    });
  }

  stopBulk(jobId: number): Promise<void> {
    return Promise.reject(
      new HeadwayError(
        'conflict',
        `Job ${jobId} runs in an engine on another machine and cannot be stopped from here. Stop that engine, or let it end.`,
      ),
    );
  }

  /** Rejects with `not-found` for a kind that none of the engines heard lately knows: it would wait for ever. */
  enqueue(jobs: NewJob[]): Promise<Enqueued[]> {
    return this.#change(async (store) => {
      const nowMs = await store.time();
      const heard = enginesOf(await store.owners(), nowMs).filter(
        ({ beatAgeMs }) => beatAgeMs <= HEARD_LATELY_MS,
      );
      const known = new Set(heard.flatMap(({ report }) => report.kinds.map(({ kind }) => kind)));
      const stranger = jobs.find(({ kind }) => !known.has(kind));
      if (heard.length > 0 && stranger !== undefined)
        throw new HeadwayError(
          'not-found',
          `No engine on this store knows the kind "${stranger.kind}". They know: ${[...known].join(', ')}.`,
        );
      return store.enqueue(jobs, nowMs);
    });
  }

  /** Ends what was opened. Idempotent; a later call opens it anew. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.#looking;
    this.#looking = null;
    const store = await closing?.catch(() => null);
    await store?.[Symbol.asyncDispose]();
  }

  async #look<T>(ask: (store: Store) => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const opening = (this.#looking ??= this.#parts.open('look'));
    try {
      return await ask(await opening);
    } catch (error) {
      // Whatever failed, a wrong password or a file that was replaced: the next look begins anew.
      if (this.#looking === opening) await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #change<T>(act: (store: Store) => Promise<T>): Promise<T> {
    const { name, isReadOnly, open } = this.#parts;
    if (isReadOnly)
      throw new HeadwayError(
        'unauthorized',
        `${name} is a read-only connection. Set its safety to "confirm" in the settings to change anything.`,
      );
    await using store = await open('change');
    return await act(store);
  }

  /** Newest first, as their jobs and the engines that run them tell. */
  async #bulksNow(store: Store, engines: Engines): Promise<Bulk[]> {
    const workers = engines.flatMap(({ report }) => report.workers);
    for (const [id, bulk] of this.#bulks) {
      if (bulk.state !== 'waiting' && bulk.state !== 'running') continue;
      const job = await store.job(id);
      const note = workers.find((worker) => worker.job?.id === id)?.job?.note ?? '';
      const changed = Math.max(bulk.changed, Number.parseInt(note, 10) || 0);
      this.#bulks.set(id, { ...bulk, changed, ...endOf(job) });
    }
    return [...this.#bulks.values()].reverse();
  }
}

function endOf(job: JobRecord | null): Pick<Bulk, 'state' | 'error'> {
  // A job that is done is stored no more.
  if (job === null) return { state: 'done', error: null };
  const error = job.failedAttempts[0]?.failure.message ?? null;
  if (job.state === 'dead') return { state: 'failed', error };
  return { state: job.state === 'running' ? 'running' : 'waiting', error };
}

/** Each engine once, by its newest word: after a failure of the store it may go by several names. */
function enginesOf(owners: readonly Owner[], nowMs: number): Engines {
  const engines = new Map<string, Engines[number]>();
  for (const { beatAtMs, report: text } of owners) {
    const report = readEngineReport(text);
    if (report === null) continue;
    const beatAgeMs = Math.max(0, nowMs - beatAtMs);
    const known = engines.get(report.owner);
    if (known === undefined || beatAgeMs < known.beatAgeMs) engines.set(report.owner, { report, beatAgeMs });
  }
  return [...engines.values()];
}
