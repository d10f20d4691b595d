// The last attempts of an engine, for the window: a ring, so that a busy day takes no more memory than a quiet one.
import type { RecentAttempt } from '../../contract/engine-report.ts';
import type { Attempt } from './workers/attempt.ts';

const KEPT = 1_000;

export class RecentAttempts {
  readonly #ring: RecentAttempt[] = [];
  /** Where the next one goes: the place of the oldest once the ring is full. */
  #next = 0;

  /** Keeps what is shown of it, not its payload. */
  add({ claim, startedAtMs, waitMs, runMs, stages, failure }: Attempt): void {
    this.#ring[this.#next] = {
      jobId: claim.id,
      kind: claim.kind,
      tenantId: claim.tenantId,
      attempt: claim.attempt,
      startedAtMs,
      waitMs,
      runMs,
      stages,
      error: failure?.message ?? null,
    };
    this.#next = (this.#next + 1) % KEPT;
  }

  /** Newest first, at most `limit`. */
  newest(limit: number): RecentAttempt[] {
    return [...this.#newestFirst()].slice(0, limit);
  }

  /** Those of one job, newest first. */
  of(jobId: number): RecentAttempt[] {
    return [...this.#newestFirst()].filter((attempt) => attempt.jobId === jobId);
  }

  *#newestFirst(): Iterable<RecentAttempt> {
    for (let back = 1; back <= this.#ring.length; back++) {
      const attempt = this.#ring[(this.#next - back + KEPT) % KEPT];
      if (attempt) yield attempt;
    }
  }
}
