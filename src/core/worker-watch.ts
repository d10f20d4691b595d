// Whether the workers of a connection are there at all, judged by what they leave behind in the database.
import type { SourceSample } from './sample.ts';

/**
 * Follows the signs of life of all workers of one connection: what the source saw itself (claims, heartbeats),
 * starts, and any tenant's finished attempts moving. Times are the database's.
 */
export class WorkerWatch {
  #lastSeenAtMs: number | null = null;
  /** Since when there has been work without a break; null while there is none. */
  #workSinceMs: number | null = null;
  #attempts = new Map<string, number>();

  add(sample: Pick<SourceSample, 'databaseTimeMs' | 'workers' | 'tenants'>): void {
    const now = sample.databaseTimeMs;
    const attempts = new Map<string, number>();
    let work = false;
    this.#saw(sample.workers.lastSeenAtMs, now);
    for (const tenant of sample.tenants) {
      this.#saw(tenant.lastStartedAtMs, now);
      work ||= tenant.running.value > 0 || (tenant.ready.value > 0 && tenant.paused === null);
      if (tenant.attemptsTotal === null) continue;
      const before = this.#attempts.get(tenant.tenantId);
      if (before !== undefined && tenant.attemptsTotal > before) this.#saw(now, now);
      attempts.set(tenant.tenantId, tenant.attemptsTotal);
    }
    this.#attempts = attempts;
    // A source that sees neither who is busy nor any sign of life proves nothing by silence.
    const isBlind =
      sample.workers.busy === null && sample.workers.lastSeenAtMs === null && attempts.size === 0;
    this.#workSinceMs = work && !isBlind ? (this.#workSinceMs ?? now) : null;
  }

  /** The newest sign of any worker; null when none was ever seen. */
  get lastSeenAtMs(): number | null {
    return this.#lastSeenAtMs;
  }

  /**
   * For how long the workers have owed a sign, ms: since the newest one, yet not since before there was work,
   * for workers with nothing to do leave no trace. 0 while there is nothing to do.
   */
  silentMs(nowMs: number): number {
    if (this.#workSinceMs === null) return 0;
    return Math.max(0, nowMs - Math.max(this.#workSinceMs, this.#lastSeenAtMs ?? -Infinity));
  }

  #saw(atMs: number | null, nowMs: number): void {
    // A worker host's clock may run ahead; a sign from the future must not hide the silence that follows.
    if (atMs !== null) this.#lastSeenAtMs = Math.max(this.#lastSeenAtMs ?? -Infinity, Math.min(atMs, nowMs));
  }
}
