// One poll of a mapped table by its index: which tenants have jobs in which state, then the first jobs of each. The same for both
// databases, which differ in their statements only.
import { sumCounts } from '../../../../core/count.ts';
import type { TenantSample, WorkersSample } from '../../../../core/sample.ts';
import { DepthMemory, type Depth } from '../depth-memory.ts';
import {
  DEEPER_PER_POLL,
  HEAD_ROWS,
  headRows,
  liveStates,
  TENANTS_AT_MOST,
  type Group,
  type JobsTable,
} from './mapping-sql.ts';
import { tenantSamples, type CountedRow } from './tenant-samples.ts';

/** What differs between the databases when a poll is taken. */
export interface PollDatabase<Session> {
  groups: (on: Session, signal: AbortSignal) => Promise<Group[]>;
  /** `most`: rows that each look at a group may read. */
  heads: (on: Session, groups: readonly Group[], most: number, signal: AbortSignal) => Promise<CountedRow[]>;
  /** What these groups of ready jobs hold, with less certainty but deeper; null where no index tells. */
  depths:
    | ((
        on: Session,
        groups: readonly Group[],
        signal: AbortSignal,
      ) => Promise<(Depth & { tenant: string })[]>)
    | null;
}

export class JobsPoll<Session> {
  readonly #database: PollDatabase<Session>;
  readonly #table: JobsTable;
  readonly #memory = new DepthMemory<string>(DEEPER_PER_POLL);

  constructor(database: PollDatabase<Session>, table: JobsTable) {
    this.#database = database;
    this.#table = table;
  }

  async sample(
    on: Session,
    signal: AbortSignal,
  ): Promise<{ tenants: TenantSample[]; workers: WorkersSample }> {
    const { groups: all, heads, depths } = this.#database;
    const groups = ofWatched(await all(on, signal));
    const byState = [...Map.groupBy(groups, ({ place }) => place).values()];
    const share = headRows(groups.length, Math.max(0, ...byState.map(({ length }) => length)));
    const read = tenantSamples(await heads(on, groups, share, signal), this.#table.mapping);
    if (share === HEAD_ROWS.most || depths === null) return read;
    const long = read.tenants.filter(({ ready }) => ready.kind !== 'exact').map(({ tenantId }) => tenantId);
    const picked = new Set(this.#memory.pick(long));
    const looked = groups.filter(({ tenant, place }) => picked.has(tenant) && this.#isReady(place));
    if (looked.length > 0) this.#learn(await depths(on, looked, signal));
    return {
      ...read,
      tenants: read.tenants.map((sample) => ({
        ...sample,
        ...this.#memory.recall(sample.tenantId, sample),
      })),
    };
  }

  /** A tenant's jobs may be ready in several states. */
  #learn(depths: readonly (Depth & { tenant: string })[]): void {
    for (const [tenant, own] of Map.groupBy(depths, (depth) => depth.tenant)) {
      this.#memory.learn(tenant, {
        ready: sumCounts(own.map(({ ready }) => ready)),
        delayed: sumCounts(own.map(({ delayed }) => delayed)),
      });
    }
  }

  #isReady(place: number): boolean {
    const { mapping } = this.#table;
    return mapping.states.ready.includes(liveStates(mapping)[place] ?? '');
  }
}

/** Those of as many tenants as are watched. */
function ofWatched(groups: readonly Group[]): Group[] {
  const watched = new Set<string>();
  return groups.filter(({ tenant }) => {
    if (watched.size < TENANTS_AT_MOST) watched.add(tenant);
    return watched.has(tenant);
  });
}
