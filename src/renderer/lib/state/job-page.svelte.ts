// One job's page: what is stored of it, its attempts, its payload. Read again as the engine's views come in.
import type { MethodOutput } from '../../../contract/api.ts';
import { toWireError } from '../../../contract/errors.ts';
import type { WireError } from '../../../contract/errors.ts';
import type { RecentAttempt } from '../../../contract/engine-report.ts';
import type { JobRecord } from '../format/engine-words.ts';
import type { Backend } from './backend.ts';

/** No page needs a job's record more often. */
const RELOAD_MS = 2_000;

/** An attempt as the page shows it, failed or not. */
export interface AttemptRow {
  attempt: number;
  startedAtMs: number;
  waitMs: number;
  runMs: number;
  stages: Readonly<Record<string, number>>;
  owner: string | null;
  failure: JobRecord['failedAttempts'][number]['failure'] | null;
  /** Set when only its message is known, not its class. */
  error: string | null;
}

/** Failed attempts as stored, joined with those that ended lately; newest first. */
export function attemptsOf(job: JobRecord | null, recent: readonly RecentAttempt[]): AttemptRow[] {
  const rows = new Map<string, AttemptRow>();
  // A requeued job counts from one again: an attempt is named by its number and its start.
  const keyOf = ({ attempt, startedAtMs }: { attempt: number; startedAtMs: number }): string =>
    `${attempt} ${startedAtMs}`;
  for (const { jobId: _jobId, kind: _kind, tenantId: _tenantId, ...attempt } of recent)
    rows.set(keyOf(attempt), { ...attempt, owner: null, failure: null });
  for (const failed of job?.failedAttempts ?? [])
    rows.set(keyOf(failed), { ...failed, error: failed.failure.message });
  return [...rows.values()].sort((a, b) => b.startedAtMs - a.startedAtMs);
}

export class JobPageState {
  detail = $state.raw<MethodOutput<'engine.job'> | null>(null);
  error = $state.raw<WireError | null>(null);
  /** The dead job that a blocked one waits for, however far up. */
  ancestorId = $state<number | null>(null);
  /** Payloads may hold what a neighbour should not read: shown when asked for. */
  payloadShown = $state(false);
  readonly attempts: readonly AttemptRow[] = $derived.by(() =>
    attemptsOf(this.detail?.job ?? null, this.detail?.recent ?? []),
  );
  readonly #backend: Backend;
  readonly #ids: { connectionId: string; id: number };
  readonly #now: () => number;
  readonly #stop = new AbortController();
  #loadedAtMs = -Infinity;
  #loading = false;

  constructor(
    backend: Backend,
    ids: { connectionId: string; id: number },
    now: () => number = () => performance.now(),
  ) {
    this.#backend = backend;
    this.#ids = ids;
    this.#now = now;
    void this.load();
  }

  /** Reads it again unless that was just done: called with every view of the engine. */
  follow(): void {
    if (this.#now() - this.#loadedAtMs >= RELOAD_MS) void this.load();
  }

  async load(): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    this.#loadedAtMs = this.#now();
    try {
      const { signal } = this.#stop;
      this.detail = await this.#backend.call('engine.job', this.#ids, { signal });
      this.ancestorId = this.detail.job?.state === 'blocked' ? await this.#findAncestor(signal) : null;
      this.error = null;
    } catch (error) {
      if (!this.#stop.signal.aborted) this.error = toWireError(error);
    } finally {
      this.#loading = false;
    }
  }

  async #findAncestor(signal: AbortSignal): Promise<number | null> {
    const { connectionId, id } = this.#ids;
    const [found] = await this.#backend.call(
      'engine.blockedJobs',
      { connectionId, filter: { ids: [id] }, limit: 1 },
      { signal },
    );
    return found?.ancestorId ?? null;
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }
}
