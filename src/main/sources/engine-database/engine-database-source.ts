// A headless engine, watched through the store that it works on. It reads and nothing else.
import { zero } from '../../../core/count.ts';
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import { PAYLOAD_SHOWN_CHARS, shownPayload } from '../../../core/shown-payload.ts';
import { ahead } from '../local-engine/ahead.ts';
import { engineDetails } from '../local-engine/engine-details.ts';
import { RECLAIMED_AFTER_MS } from '../local-engine/engine-jobs.ts';
import type { EngineTenant } from '../local-engine/engine-reader.ts';
import type { Probe, Source, SourceDetails } from '../source.ts';
import { engineDatabaseCapabilities, engineFileCapabilities } from './capabilities.ts';
import { enginesSeen } from './engines.ts';
import { HeldReader } from './held-reader.ts';
import type { StoreHold, StoreReader } from './store-reader.ts';

/** So many ready jobs are looked at to tell who is ahead of whom; what lies deeper counts as "at least". */
const FRONT_LIMIT = 2_000;

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
  readonly details: SourceDetails;
  readonly #options: EngineDatabaseSourceOptions;
  readonly #polls: HeldReader;
  /** Of its own, so that a person's question delays no poll. */
  readonly #looks: HeldReader;

  constructor(options: EngineDatabaseSourceOptions) {
    this.#options = options;
    this.#polls = new HeldReader(options.open);
    this.#looks = new HeldReader(options.open);
    this.details = detailsOf(this.#looks, options.isShared);
  }

  probe(signal: AbortSignal): Promise<Probe> {
    return this.#polls.call(signal, async (reader) => {
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
    return this.#polls.call(signal, async (reader) =>
      (await reader.depths(0)).tenants.map(({ tenantId }) => ({ id: tenantId, name: tenantId, detail: '' })),
    );
  }

  /** Engines count as they go, so counts are exact and cheap. */
  snapshot(signal: AbortSignal): Promise<SourceSample> {
    return this.#polls.call(signal, async (reader) => {
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

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#polls[Symbol.asyncDispose](), this.#looks[Symbol.asyncDispose]()]);
  }
}

const IN_DATABASE =
  'An engine holds its claims as long as it beats, every 10 seconds. After 5 minutes of silence another engine takes them back: the attempt counts, and what the silent one still sends is refused.';
const IN_FILE =
  'An engine has the file for itself and holds its claims as long as it lives. What one that died had is taken back when the next one opens the file: the attempt counts.';

function detailsOf(looks: HeldReader, isShared: boolean): SourceDetails {
  return engineDetails({
    capabilities: isShared ? engineDatabaseCapabilities : engineFileCapabilities,
    lockRule: isShared ? IN_DATABASE : IN_FILE,
    list: (request, signal) => looks.call(signal, (reader) => reader.list(request)),
    job: (id, signal) =>
      looks.call(signal, async (reader) => {
        const job = await reader.job(id);
        // One more than is shown, to tell whether there is more. What its kind wants blacked out its engine alone knows.
        const text = job && (await reader.payload(id, PAYLOAD_SHOWN_CHARS + 1));
        return { job, payload: text === null ? null : shownPayload(text, []) };
      }),
    beats: async (signal) => {
      if (!isShared) return null;
      return looks.call(signal, async (reader) => {
        const owners = await reader.owners();
        return {
          nowMs: await reader.time(),
          byOwner: new Map(owners.map(({ id, beatAtMs }) => [id, beatAtMs])),
        };
      });
    },
  });
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
