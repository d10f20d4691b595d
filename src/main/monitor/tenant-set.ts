// All tenants of one connection: their trackers, and what only the whole of them can tell.
import type { TenantRow } from '../../contract/live.ts';
import { sumCounts } from '../../core/count.ts';
import { fairShares, type FairShare } from '../../core/fair-share.ts';
import { nothingQueued, type SourceSample, type TenantInfo } from '../../core/sample.ts';
import { sumTallies } from '../../core/sum-tallies.ts';
import { NET_WINDOWS_MS, timeToEmpty, type TimeToEmpty } from '../../core/time-to-empty.ts';
import type { TimingRecord } from '../../core/timing.ts';
import { TenantTracker, type RowContext, type TrackerOptions } from './tenant-tracker.ts';

/** So many ids that only a log names are remembered; a log can name any number. */
const MAX_STRANGERS = 1_000;

export class TenantSet {
  readonly #options: TrackerOptions;
  readonly #trackers = new Map<string, TenantTracker>();
  /** Known from the log alone: a log may be read before the database can be asked for names. */
  readonly #strangers = new Map<string, TenantTracker>();

  constructor(options: TrackerOptions) {
    this.#options = options;
  }

  get(id: string): TenantTracker | undefined {
    return this.#trackers.get(id);
  }

  nameOf = (id: string): string => this.#trackers.get(id)?.info.name ?? id;

  /** The tenants there are now; who is no longer named is forgotten. */
  name(tenants: readonly TenantInfo[]): void {
    const named = new Set(tenants.map((tenant) => tenant.id));
    for (const id of this.#trackers.keys()) if (!named.has(id)) this.#trackers.delete(id);
    for (const info of tenants) {
      const known = this.#trackers.get(info.id);
      if (known === undefined) this.#add(info);
      else known.info = info;
    }
    this.#strangers.clear();
  }

  /** Adds a finished attempt that the log tells of. That alone makes nobody a tenant. */
  addTiming(record: TimingRecord, nowMs: number): void {
    const { tenantId } = record;
    let tracker = this.#trackers.get(tenantId) ?? this.#strangers.get(tenantId);
    if (tracker === undefined) {
      if (this.#strangers.size >= MAX_STRANGERS) return;
      tracker = new TenantTracker({ id: tenantId, name: tenantId, detail: '' }, this.#options);
      this.#strangers.set(tenantId, tracker);
    }
    tracker.addTiming(record, nowMs);
  }

  /** Adds a poll. A source reads all that is queued, so a tenant it does not mention has nothing queued. */
  add(sample: SourceSample): void {
    const mentioned = new Set<string>();
    for (const tenant of sample.tenants) {
      mentioned.add(tenant.tenantId);
      this.#tracker(tenant.tenantId).addSample(tenant, sample.databaseTimeMs);
    }
    for (const [id, tracker] of this.#trackers)
      if (!mentioned.has(id)) tracker.addSample(nothingQueued(id), sample.databaseTimeMs);
  }

  rows(context: Omit<RowContext, 'nameOf' | 'shares'>): TenantRow[] {
    const whole: RowContext = { ...context, nameOf: this.nameOf, shares: this.#shares() };
    return [...this.#trackers.values()].map((tracker) => tracker.row(whole));
  }

  /** Who got how many of the starts in the window, as of the last rows; null where starts are not counted. */
  #shares(): ReadonlyMap<string, FairShare> | null {
    const services = [...this.#trackers.values()].flatMap(({ info, view }) =>
      view === null || view.starts === null
        ? []
        : [{ tenantId: info.id, starts: view.starts, demand: view.starts + view.sample.ready.value }],
    );
    return services.length === 0 ? null : fairShares(services);
  }

  /** Time until every window is full, ms; 0 when they are. */
  warmingUpMs(): number {
    let longest = 0;
    for (const { view } of this.#trackers.values()) longest = Math.max(longest, view?.warmingUpMs ?? 0);
    return longest;
  }

  /** When the whole connection will be empty: from the sum of its tenants' depths and flows. */
  timeToEmpty(): TimeToEmpty {
    const views = [...this.#trackers.values()].flatMap(({ view }) => view ?? []);
    if (views.length === 0) return { kind: 'unknown' };
    const depth = sumCounts(views.flatMap(({ sample }) => [sample.ready, sample.running]));
    const flows = NET_WINDOWS_MS.map((_ms, index) => {
      const parts = views.flatMap(({ netFlows }) => netFlows[index] ?? []);
      return {
        arrivals: sumTallies(parts.map((part) => part.arrivals)),
        attempts: sumTallies(parts.map((part) => part.attempts)),
      };
    });
    return timeToEmpty(depth, flows);
  }

  /** A tenant with rows that is not named yet: it came since the names were read. */
  #tracker(id: string): TenantTracker {
    const known = this.#trackers.get(id);
    if (known !== undefined) return known;
    return this.#add({ id, name: id, detail: '' });
  }

  #add(info: TenantInfo): TenantTracker {
    // The golden ratio spreads any number of tenants evenly.
    const phase = (this.#trackers.size * 0.618034) % 1;
    const tracker = this.#strangers.get(info.id) ?? new TenantTracker(info, this.#options, phase);
    tracker.info = info;
    this.#strangers.delete(info.id);
    this.#trackers.set(info.id, tracker);
    return tracker;
  }
}
