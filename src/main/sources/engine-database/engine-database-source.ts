// A headless engine, watched through the store that it works on. It reads and nothing else.
import { noDetails } from '../not-yet.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import { zero } from '../../../core/count.ts';
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import { ahead } from '../local-engine/ahead.ts';
import type { EngineTenant } from '../local-engine/engine-reader.ts';
import type { Probe, Source } from '../source.ts';
import { enginesSeen } from './engines.ts';
import type { StoreHold, StoreReader } from './store-reader.ts';

/** So many ready jobs are looked at to tell who is ahead of whom; what lies deeper counts as "at least". */
const FRONT_LIMIT = 2_000;
/** The engines' own limit: whoever is silent for longer loses its jobs to the others. */
const RECLAIMED_AFTER_MS = 5 * 60_000;

const CLAIM_ORDER = {
  'first-come': 'first come, first served, by id',
  fair: 'fair: one job of each tenant in turn',
  'fair-time': 'fair: each tenant in turn, up to its share of run time',
} as const;

export interface EngineDatabaseSourceOptions {
  /** Opens the store for reading. */
  open: () => Promise<StoreReader>;
  /** Whether engines on it beat: those that share a database do, one that has a file for itself does not. */
  isShared: boolean;
  /** Local clock, epoch ms. */
  now: () => number;
}

export class EngineDatabaseSource implements Source {
  readonly details = noDetails;
  readonly #options: EngineDatabaseSourceOptions;
  #reader: Promise<StoreReader> | null = null;

  constructor(options: EngineDatabaseSourceOptions) {
    this.#options = options;
  }

  probe(signal: AbortSignal): Promise<Probe> {
    return this.#read(signal, async (reader) => {
      const [owners, nowMs] = [await reader.owners(), await reader.time()];
      const isHeard = owners.some(({ beatAtMs }) => nowMs - beatAtMs <= RECLAIMED_AFTER_MS);
      return {
        system: `Headway engine on ${reader.description}`,
        tenantWord: 'tenant',
        warnings:
          this.#options.isShared && !isHeard
            ? ['No engine on this store has been heard of in the last 5 minutes: its jobs wait.']
            : [],
      };
    });
  }

  tenants(signal: AbortSignal): Promise<TenantInfo[]> {
    return this.#read(signal, async (reader) =>
      (await reader.depths(0)).tenants.map(({ tenantId }) => ({ id: tenantId, name: tenantId, detail: '' })),
    );
  }

  /** Engines count as they go, so counts are exact and cheap. */
  snapshot(signal: AbortSignal): Promise<SourceSample> {
    return this.#read(signal, async (reader) => {
      const { now, isShared } = this.#options;
      const startedMs = now();
      const depths = await reader.depths(FRONT_LIMIT);
      const owners = await reader.owners();
      const holds = await reader.holds();
      const askedMs = now();
      const databaseTimeMs = await reader.time();
      const answeredMs = now();
      const engines = enginesSeen(owners, databaseTimeMs);
      const isDeserted =
        isShared && !owners.some(({ beatAtMs }) => databaseTimeMs - beatAtMs <= RECLAIMED_AFTER_MS);
      const { order } = engines;
      return {
        databaseTimeMs,
        clock: {
          offsetMs: databaseTimeMs - (askedMs + answeredMs) / 2,
          errorMs: (answeredMs - askedMs) / 2,
        },
        tenants: depths.tenants.map((tenant) => ({
          ...sampleOf(tenant),
          // Others take over what a silent engine had; when there are no others, nobody does.
          stale: isDeserted ? tenant.running : zero,
          behind: order === null ? null : ahead(tenant, { ...depths, order }),
          paused: pauseOf(tenant.tenantId, holds),
        })),
        workers: engines.workers,
        kinds: engines.kinds,
        workerMemory: engines.workerMemory,
        claimOrder: order === null ? null : CLAIM_ORDER[order],
        cost: { durationMs: Math.max(0, now() - startedMs), rowsRead: null },
      };
    });
  }

  /** A call that is given up, or that the store failed, ends the reader: the next one opens it anew. */
  async #read<T>(signal: AbortSignal, ask: (reader: StoreReader) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(abortFailure(signal));
    signal.addEventListener('abort', abort, { once: true });
    try {
      this.#reader ??= this.#options.open();
      return await Promise.race([this.#reader.then(ask), aborted.promise]);
    } catch (error) {
      const closing = this.#close();
      // Whoever was given up may hang for a while; its end is nobody's concern any more.
      if (signal.aborted) closing.catch(() => undefined);
      else await closing;
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
      aborted.promise.catch(() => undefined);
    }
  }

  async #close(): Promise<void> {
    const closing = this.#reader;
    this.#reader = null;
    const reader = await closing?.catch(() => null);
    await reader?.[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }
}

function sampleOf(tenant: EngineTenant) {
  const { tenantId, ready, delayed, running, dead, blocked, oldestReady } = tenant;
  return {
    tenantId,
    ready,
    delayed,
    running,
    dead,
    blocked,
    oldestReady: oldestReady && {
      readyAtMs: oldestReady.readyAtMs,
      createdAtMs: oldestReady.createdAtMs,
      bound: 'exact' as const,
    },
    lastStartedAtMs: tenant.lastStartedAtMs,
    oldestRunningAtMs: tenant.oldestRunningAtMs,
    arrivalsTotal: tenant.arrivalsTotal,
    attemptsTotal: tenant.attemptsTotal,
  };
}

/** A pause of the tenant, or of the whole store; one of a single kind stops nobody altogether, nor does a drain. */
function pauseOf(tenantId: string, holds: readonly StoreHold[]): SourceSample['tenants'][number]['paused'] {
  const pauses = holds.filter(({ mode, kind }) => mode === 'pause' && kind === null);
  const hold =
    pauses.find((pause) => pause.tenantId === tenantId) ?? pauses.find((pause) => pause.tenantId === null);
  return hold ? { by: hold.by, sinceMs: hold.sinceMs, reason: hold.reason } : null;
}

function abortFailure(signal: AbortSignal): HeadwayError {
  const reason: unknown = signal.reason;
  if (reason instanceof HeadwayError) return reason;
  if (reason instanceof DOMException && reason.name === 'TimeoutError')
    return new HeadwayError('timeout', 'The store did not answer in time. Check the network and its load.', {
      retryable: true,
      cause: reason,
    });
  return new HeadwayError('cancelled', 'The read was cancelled.', { cause: reason });
}
