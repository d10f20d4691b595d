// One moment of an engine of this computer, for the source that watches it.
import type { TenantInfo } from '../../core/sample.ts';
import { zero } from '../../core/count.ts';
import { BULK_TENANT } from './bulk.ts';
import type { Engine } from './engine.ts';
import type { EngineReading } from './engine-messages.ts';
import type { TenantDepth } from './job.ts';
import type { Store } from './stores/store.ts';

/** So many ready jobs are looked at to tell who is ahead of whom; what lies deeper counts as "at least". */
const FRONT_LIMIT = 2_000;

export interface TenantNames {
  /** What a tenant is called: "server", "queue". */
  word: string;
  /** Those that are known by name; also without a job they are shown. */
  known: readonly TenantInfo[];
}

export async function readEngine(engine: Engine, store: Store, names: TenantNames): Promise<EngineReading> {
  const beginMs = performance.now();
  const [snapshot, holds] = await Promise.all([engine.snapshot(FRONT_LIMIT), store.holds()]);
  const { kinds, workers } = engine.report();
  const seen = new Map(snapshot.tenants.map((tenant) => [tenant.tenantId, tenant]));
  const known = new Set(names.known.map(({ id }) => id));
  const strangers = snapshot.tenants.filter(({ tenantId }) => !known.has(tenantId));
  const { atMs, order, busy, cursor, frontEndId } = snapshot;
  return {
    atMs,
    order,
    busy,
    cursor,
    frontEndId,
    workers: snapshot.workers,
    readMs: performance.now() - beginMs,
    holds,
    kinds: kinds.map(({ kind, failureRatio }) => ({ kind, failureRatio })),
    memory: workers.flatMap(({ id, memoryBytes, memoryLimitBytes }) =>
      memoryBytes === null ? [] : [{ worker: id, usedBytes: memoryBytes, limitBytes: memoryLimitBytes }],
    ),
    tenantWord: names.word,
    names: [...names.known, ...strangers.map(({ tenantId }) => nameOf(tenantId))],
    tenants: [...names.known.map(({ id }) => seen.get(id) ?? nothingYet(id)), ...strangers],
  };
}

function nameOf(id: string): TenantInfo {
  if (id === BULK_TENANT) return { id, name: 'Headway', detail: 'long operations of this application' };
  return { id, name: id, detail: '' };
}

/** A tenant that has had no job. */
function nothingYet(tenantId: string): TenantDepth {
  return {
    tenantId,
    ready: zero,
    delayed: zero,
    running: zero,
    waiting: zero,
    blocked: zero,
    dead: zero,
    oldestReady: null,
    oldestRunningAtMs: null,
    lastStartedAtMs: null,
    arrivalsTotal: 0,
    attemptsTotal: 0,
    frontIds: [],
  };
}
