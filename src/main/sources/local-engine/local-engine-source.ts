// "This computer" and "Local jobs": an engine of this computer as a source like any other. It reads, it does not own the engine.
import { exact } from '../../../core/count.ts';
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import type { Probe, Source, SourceDetails } from '../source.ts';
import { ahead } from './ahead.ts';
import { localEngineCapabilities } from './capabilities.ts';
import { engineDetails } from './engine-details.ts';
import type { EngineReader, EngineReading } from './engine-reader.ts';

const claimOrder = (order: EngineReading['order'], tenantWord: string): string =>
  ({
    'first-come': 'first come, first served, by id',
    fair: `fair: one job of each ${tenantWord} in turn`,
    'fair-time': `fair: each ${tenantWord} in turn, up to its share of run time`,
  })[order];

export class LocalEngineSource implements Source {
  readonly details: SourceDetails;
  readonly #engine: EngineReader;
  readonly #system: string;

  /** The engine is started and stopped by whoever made it. `system` says what it is, for people. */
  constructor(engine: EngineReader, system: string) {
    this.#engine = engine;
    this.#system = system;
    this.details = engineDetails({
      capabilities: localEngineCapabilities,
      lockRule:
        'The engine of this computer holds its claims as long as it lives. What one that died had is taken back when the next one starts: the attempt counts.',
      list: (request, signal) => engine.list(request, signal),
      job: (id, signal) => engine.job(id, signal),
      beats: () => Promise.resolve(null),
    });
  }

  async probe(signal: AbortSignal): Promise<Probe> {
    const { tenantWord } = await this.#engine.sample(signal);
    return { system: this.#system, tenantWord, warnings: [] };
  }

  async tenants(signal: AbortSignal): Promise<TenantInfo[]> {
    return (await this.#engine.sample(signal)).names;
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
        paused: pauseOf(tenant.tenantId, reading),
        dead: tenant.dead,
        blocked: tenant.blocked,
      })),
      // It answered, so its workers are there.
      workers: { busy: reading.busy, total: reading.workers, lastSeenAtMs: reading.atMs },
      kinds: reading.kinds,
      workerMemory: reading.memory.map(({ worker, usedBytes, limitBytes }) => ({
        id: `worker ${worker}`,
        rssBytes: usedBytes,
        limitBytes,
      })),
      claimOrder: claimOrder(reading.order, reading.tenantWord),
      cost: { durationMs: reading.readMs, rowsRead: null },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It opened nothing.
  }
}

/** A pause of the tenant, or of the whole engine; one of a single kind stops nobody altogether, nor does a drain. */
function pauseOf(tenantId: string, { holds }: EngineReading): SourceSample['tenants'][number]['paused'] {
  const pauses = holds.filter(({ mode, kind }) => mode === 'pause' && kind === null);
  const hold =
    pauses.find((pause) => pause.tenantId === tenantId) ?? pauses.find((pause) => pause.tenantId === null);
  return hold ? { by: hold.by, sinceMs: hold.sinceMs, reason: hold.reason } : null;
}
