// One poll of a mapped table by its index: which tenants have jobs in which state, then the first jobs of each. The same for both
// databases, which differ in their statements only.
import type { TenantSample, WorkersSample } from '../../../../core/sample.ts';
import { DepthMemory } from '../depth-memory.ts';
import { DEEPER_PER_POLL, HEAD_ROWS, headRows, TENANTS_AT_MOST, type Group } from './mapping-sql.ts';
import { tenantSamples, type CountedRow, type Meaning } from './tenant-samples.ts';

/** A group with the rows that each look at it may read. */
export interface AskedGroup extends Group {
  most: number;
}

/** What differs between the databases when a poll is taken. */
export interface PollDatabase<Session> {
  groups: (on: Session, signal: AbortSignal) => Promise<Group[]>;
  heads: (on: Session, asked: readonly AskedGroup[], signal: AbortSignal) => Promise<CountedRow[]>;
}

export class JobsPoll<Session> {
  readonly #database: PollDatabase<Session>;
  readonly #meaning: Meaning;
  readonly #depths = new DepthMemory<string>(DEEPER_PER_POLL);
  /** Tenants that had more waiting jobs than were read of each at the last poll. */
  #long: readonly string[] = [];

  constructor(database: PollDatabase<Session>, meaning: Meaning) {
    this.#database = database;
    this.#meaning = meaning;
  }

  async sample(
    on: Session,
    signal: AbortSignal,
  ): Promise<{ tenants: TenantSample[]; workers: WorkersSample }> {
    const groups = ofWatched(await this.#database.groups(on, signal));
    const byState = [...Map.groupBy(groups, ({ place }) => place).values()];
    const tenants = Math.max(0, ...byState.map(({ length }) => length));
    const share = headRows(groups.length, tenants);
    const deeper = new Set(share < HEAD_ROWS.most ? this.#depths.pick(this.#long) : []);
    const asked = groups.map((group) => ({
      ...group,
      most: deeper.has(group.tenant) ? HEAD_ROWS.most : share,
    }));
    const read = tenantSamples(await this.#database.heads(on, asked, signal), this.#meaning);
    if (share === HEAD_ROWS.most) return read;
    const isLong = ({ ready, delayed }: TenantSample) => ready.kind !== 'exact' || delayed.kind !== 'exact';
    this.#long = read.tenants.filter(isLong).map(({ tenantId }) => tenantId);
    for (const sample of read.tenants)
      if (deeper.has(sample.tenantId)) this.#depths.learn(sample.tenantId, sample);
    return {
      ...read,
      tenants: read.tenants.map((sample) =>
        deeper.has(sample.tenantId) ? sample : { ...sample, ...this.#depths.recall(sample.tenantId, sample) },
      ),
    };
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
