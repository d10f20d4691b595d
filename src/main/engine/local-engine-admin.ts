// What a person may see and do with an engine of this computer, in the engine's own thread.
import type { EngineView } from '../../contract/engine-report.ts';
import { sumCounts } from '../../core/count.ts';
import type { BulkKind, EngineAdmin, JobDetail } from './admin.ts';
import type { Bulks } from './bulk.ts';
import type { Engine } from './engine.ts';
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
  Store,
} from './stores/store.ts';

const GROUPS_SHOWN = 100;
const RECENT_SHOWN = 100;

export interface LocalEngineAdminParts {
  engine: Engine;
  store: Store;
  bulks: Bulks;
  /** The paths that a kind wants blacked out. */
  redactOf: (kind: string) => readonly string[];
}

export class LocalEngineAdmin implements EngineAdmin {
  readonly #parts: LocalEngineAdminParts;

  constructor(parts: LocalEngineAdminParts) {
    this.#parts = parts;
  }

  async view(_signal?: AbortSignal): Promise<EngineView> {
    const { engine, store, bulks } = this.#parts;
    const [{ tenants, atMs }, holds, deadGroups] = await Promise.all([
      engine.snapshot(0),
      store.holds(),
      store.deadGroups(GROUPS_SHOWN),
    ]);
    return {
      asOfMs: atMs,
      store: store.description,
      place: 'local',
      engines: [{ report: engine.report(), beatAgeMs: 0 }],
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
      bulks: bulks.list(),
      recent: engine.recent(RECENT_SHOWN),
      problem: null,
    };
  }

  deadGroups(limit: number): Promise<DeadGroup[]> {
    return this.#parts.store.deadGroups(limit);
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return this.#parts.store.deadJobs(filter, afterId, limit);
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    return this.#parts.store.blockedJobs(filter, afterId, limit);
  }

  list(request: ListRequest): Promise<JobsListed> {
    return this.#parts.store.list(request);
  }

  async job(id: number): Promise<JobDetail> {
    const { engine, store, redactOf } = this.#parts;
    const job = await store.job(id);
    // One more than is shown, to tell whether there is more.
    const text = job && (await store.payload(id, PAYLOAD_SHOWN_CHARS + 1));
    return {
      job,
      payload: job && text !== null ? shownPayload(text, redactOf(job.kind)) : null,
      recent: engine.recentOf(id),
    };
  }

  async hold(hold: Omit<Hold, 'sinceMs'>): Promise<void> {
    const { engine, store } = this.#parts;
    await engine.hold({ ...hold, sinceMs: await store.time() });
  }

  unhold(scope: HoldScope): Promise<boolean> {
    return this.#parts.engine.unhold(scope);
  }

  async bulk(what: BulkKind, filter: JobFilter): Promise<number> {
    const { engine, store, bulks } = this.#parts;
    const [enqueued] = await engine.enqueue([await bulks.job(what, filter)]);
    if (!enqueued) throw new Error('the engine enqueued nothing');
    bulks.begun(enqueued.id, what, filter, await store.time());
    return enqueued.id;
  }

  stopBulk(jobId: number): Promise<void> {
    // What it throws rejects the promise.
    return new Promise((resolve) => {
      this.#parts.bulks.stop(jobId);
      resolve();
    });
  }

  enqueue(jobs: NewJob[]): Promise<Enqueued[]> {
    return this.#parts.engine.enqueue(jobs);
  }
}
