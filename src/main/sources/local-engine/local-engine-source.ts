// "This computer": the local engine as a source like any other. It reads, it does not own the engine.
import { exact } from '../../../core/count.ts';
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import type { Probe, Source } from '../source.ts';
import { ahead } from './ahead.ts';
import type { EngineReader } from './engine-reader.ts';

const CLAIM_ORDER = {
  'first-come': 'first come, first served, by id',
  fair: 'fair: one job of each server in turn',
} as const;

export class LocalEngineSource implements Source {
  readonly #engine: EngineReader;

  /** The engine is started and stopped by whoever made it. */
  constructor(engine: EngineReader) {
    this.#engine = engine;
  }

  async probe(signal: AbortSignal): Promise<Probe> {
    await this.#engine.sample(signal);
    return { system: 'Local engine on SQLite: rehearsal of incident 1', tenantWord: 'server', warnings: [] };
  }

  tenants(): Promise<TenantInfo[]> {
    return Promise.resolve(this.#engine.tenants());
  }

  /** The engine counts as it goes, so counts are exact and cost nothing; the clock is this computer's own. */
  async snapshot(signal: AbortSignal): Promise<SourceSample> {
    const reading = await this.#engine.sample(signal);
    return {
      databaseTimeMs: reading.atMs,
      clock: { offsetMs: 0, errorMs: 0 },
      tenants: reading.tenants.map((tenant) => ({
        tenantId: tenant.tenantId,
        ready: tenant.ready,
        delayed: tenant.delayed,
        running: tenant.running,
        // A job of a dead owner is taken back when the engine starts: none stays behind.
        stale: exact(0),
        oldestReady: tenant.oldestReady && {
          readyAtMs: tenant.oldestReady.readyAtMs,
          createdAtMs: tenant.oldestReady.createdAtMs,
          bound: 'exact',
        },
        lastStartedAtMs: tenant.lastStartedAtMs,
        oldestRunningAtMs: tenant.oldestRunningAtMs,
        arrivalsTotal: tenant.arrivalsTotal,
        attemptsTotal: tenant.attemptsTotal,
        behind: ahead(tenant, reading),
        paused: null,
      })),
      // It answered, so its workers are there.
      workers: { busy: reading.busy, total: reading.workers, lastSeenAtMs: reading.atMs },
      claimOrder: CLAIM_ORDER[reading.order],
      cost: { durationMs: reading.readMs, rowsRead: null },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It opened nothing.
  }
}
