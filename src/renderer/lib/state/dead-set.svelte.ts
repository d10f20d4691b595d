// The dead set by kind and cause, largest first, and the jobs of the group that is looked at.
import type { EngineView } from '../../../contract/engine-report.ts';
import type { JobRecord } from '../format/engine-words.ts';
import type { Backend } from './backend.ts';
import type { JobFilter } from './engine-plan.ts';
import { JobPages } from './job-pages.svelte.ts';

export type DeadGroup = EngineView['deadGroups'][number];
export const keyOfGroup = ({ kind, cause }: Pick<DeadGroup, 'kind' | 'cause'>): string => `${kind}\n${cause}`;

export class DeadSetState {
  /** In an order that stands still while the pointer is over it. */
  groups = $state.raw<readonly DeadGroup[]>([]);
  chosenKey = $state<string | null>(null);
  /** The jobs of the chosen group. */
  jobs = $state.raw<JobPages<JobRecord> | null>(null);
  readonly chosen: DeadGroup | null = $derived.by(
    () => this.groups.find((group) => keyOfGroup(group) === this.chosenKey) ?? null,
  );
  readonly filter: JobFilter | null = $derived.by(() =>
    this.chosen === null ? null : { kind: this.chosen.kind, cause: this.chosen.cause },
  );
  /** Whether more or fewer are dead now than when the jobs were read. */
  readonly stale: boolean = $derived.by(() => this.chosen !== null && this.chosen.count !== this.#readCount);
  /** Whether the pointer is over it, or a dialog is open about it. */
  held = false;
  #readCount = $state(0);
  readonly #backend: Backend;
  readonly #connectionId: string;

  constructor(backend: Backend, connectionId: string) {
    this.#backend = backend;
    this.#connectionId = connectionId;
  }

  /** Takes the groups of a new view. While held, known groups keep their places and new ones come after them. */
  take(groups: readonly DeadGroup[]): void {
    if (!this.held) {
      this.groups = [...groups].sort((a, b) => b.count - a.count);
    } else {
      const byKey = new Map(groups.map((group) => [keyOfGroup(group), group]));
      const kept = this.groups.map((group) => {
        const key = keyOfGroup(group);
        const now = byKey.get(key) ?? { ...group, count: 0 };
        byKey.delete(key);
        return now;
      });
      this.groups = [...kept, ...byKey.values()];
    }
    // Nothing moves under the pointer: while held, the list says that it is old, and is read again by hand.
    if (this.stale && !this.held) this.readAgain();
    // What was looked at keeps its place in the view, also when its jobs are gone.
    if (this.chosenKey === null && this.groups[0] !== undefined) this.choose(this.groups[0]);
  }

  choose(group: DeadGroup): void {
    const key = keyOfGroup(group);
    if (key === this.chosenKey) return;
    this.chosenKey = key;
    this.jobs?.[Symbol.dispose]();
    const filter = { kind: group.kind, cause: group.cause };
    this.jobs = new JobPages(
      (afterId, limit, signal) =>
        this.#backend.call(
          'engine.deadJobs',
          { connectionId: this.#connectionId, filter, afterId, limit },
          { signal },
        ),
      ({ id }) => id,
    );
    this.#readCount = group.count;
    void this.jobs.more();
  }

  /** Reads the jobs of the chosen group from the first again. */
  readAgain(): void {
    this.#readCount = this.chosen?.count ?? 0;
    void this.jobs?.again();
  }

  /** Chooses the group `by` places further. */
  move(by: number): void {
    const at = this.groups.findIndex((group) => keyOfGroup(group) === this.chosenKey);
    const next = this.groups[Math.max(0, Math.min(this.groups.length - 1, at + by))];
    if (next !== undefined) this.choose(next);
  }

  [Symbol.dispose](): void {
    this.jobs?.[Symbol.dispose]();
  }
}
