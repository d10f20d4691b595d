// What the memory store shows of its jobs.
import type { Depths, JobRecord, TenantDepth } from '../job.ts';
import { exact } from '../../../core/count.ts';
import type { IdSet } from './memory-id-set.ts';
import type { JobStates } from './memory-job-states.ts';
import { extraOf, type MemoryJob } from './memory-job.ts';
import type { MemoryLane } from './memory-lane.ts';
import type { MemoryTenant } from './memory-tenant.ts';
import { placeOf } from './list-order.ts';
import type { DeadGroup, JobFilter, JobsListed, ListPlace, ListRequest } from './store.ts';

export function depthsOf(jobs: JobStates, cursor: string | null, frontLimit: number): Depths {
  const seen = lowestReady(jobs, frontLimit + 1);
  const front = Map.groupBy(seen.slice(0, frontLimit), (job) => job.lane.tenantId);
  const oldestRunning = new Map<string, number>();
  for (const { lane, claimedAtMs } of jobs.running) {
    const known = oldestRunning.get(lane.tenantId);
    if (known === undefined || claimedAtMs < known) oldestRunning.set(lane.tenantId, claimedAtMs);
  }
  return {
    cursor,
    frontEndId: seen.length > frontLimit ? (seen[frontLimit - 1]?.id ?? 0) : null,
    tenants: [...jobs.tenants.values()].map((tenant): TenantDepth => {
      const sum = (of: (lane: MemoryLane) => number): number => {
        let total = 0;
        for (const lane of tenant.lanes) total += of(lane);
        return total;
      };
      const lastStartedAtMs = Math.max(...tenant.lanes.map((lane) => lane.lastStartedAtMs));
      return {
        tenantId: tenant.id,
        ready: exact(sum((lane) => lane.ready)),
        delayed: exact(sum((lane) => lane.delayed)),
        running: exact(sum((lane) => lane.running)),
        waiting: exact(sum((lane) => lane.waiting)),
        blocked: exact(sum((lane) => lane.blocked)),
        dead: exact(sum((lane) => lane.dead)),
        oldestReady: oldestOf(tenant),
        oldestRunningAtMs: oldestRunning.get(tenant.id) ?? null,
        lastStartedAtMs: lastStartedAtMs > 0 ? lastStartedAtMs : null,
        arrivalsTotal: sum((lane) => lane.arrivals),
        attemptsTotal: sum((lane) => lane.attempts),
        frontIds: (front.get(tenant.id) ?? []).map(({ id }) => id),
      };
    }),
  };
}

function oldestOf({ lanes }: MemoryTenant): TenantDepth['oldestReady'] {
  const [oldest] = lanes
    .flatMap((lane) => lane.oldest() ?? [])
    .sort((a, b) => a.readyAtMs - b.readyAtMs || a.id - b.id);
  return oldest ? { id: oldest.id, readyAtMs: oldest.readyAtMs, createdAtMs: oldest.createdAtMs } : null;
}

/** The ready jobs with the lowest ids of all, ascending. */
function lowestReady(jobs: JobStates, count: number): MemoryJob[] {
  const found: number[] = [];
  for (const { ready } of jobs.kinds.values()) {
    let id = ready.next(0);
    for (let i = 0; id !== null && i < count; i++) {
      found.push(id);
      id = ready.next(id);
    }
  }
  found.sort((a, b) => a - b);
  return found.slice(0, count).flatMap((id) => jobs.byId.get(id) ?? []);
}

export function recordOf(job: MemoryJob): JobRecord {
  const { extra, state } = job;
  return {
    id: job.id,
    tenantId: job.lane.tenantId,
    kind: job.lane.kind.name,
    state,
    priority: job.priority,
    batchId: extra?.batchId ?? null,
    attempts: job.attempts,
    maxAttempts: job.maxAttempts,
    createdAtMs: job.createdAtMs,
    readyAtMs: job.readyAtMs,
    claimedAtMs: state === 'running' ? job.claimedAtMs : null,
    owner: job.owner,
    payloadBytes: job.payloadBytes,
    waitsFor: extra ? [...extra.parents].sort((a, b) => a - b) : [],
    failedAttempts: extra ? [...extra.failedAttempts] : [],
  };
}

/** Looks at every job: whoever keeps them in memory has few, or is a test. */
export function listOf(jobs: JobStates, request: ListRequest): JobsListed {
  const { state, tenantId, after, limit } = request;
  const found = [...jobs.byId]
    .filter((job) => job.state === state && (tenantId === null || job.lane.tenantId === tenantId))
    .map((job) => ({ job, place: placeOf(job, request) }))
    .filter(({ place }) => after === null || isBefore(after, place))
    .sort((a, b) => (isBefore(a.place, b.place) ? -1 : 1));
  const shown = found.slice(0, limit);
  return {
    jobs: shown.map(({ job }) => recordOf(job)),
    next: found.length > limit ? (shown.at(-1)?.place ?? null) : null,
  };
}

const isBefore = (a: ListPlace, b: ListPlace): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.id < b.id);

/** Those of `among` that are meant, by id, from the first above `afterId`. */
export function chosen(
  jobs: JobStates,
  among: IdSet,
  filter: JobFilter,
  afterId: number,
  limit: number,
): MemoryJob[] {
  const found: MemoryJob[] = [];
  const ids = filter.ids
    ? [...new Set(filter.ids)].filter((id) => id > afterId && among.has(id)).sort((a, b) => a - b)
    : among.above(afterId);
  for (const id of ids) {
    if (found.length >= limit) break;
    const job = jobs.byId.get(id);
    if (job && matches(job, filter)) found.push(job);
  }
  return found;
}

function matches(job: MemoryJob, { tenantId, kind, cause }: JobFilter): boolean {
  return (
    (tenantId === undefined || job.lane.tenantId === tenantId) &&
    (kind === undefined || job.lane.kind.name === kind) &&
    (cause === undefined || (job.state === 'dead' && causeOfDeath(job) === cause))
  );
}

const causeOfDeath = (job: MemoryJob): string | undefined => job.extra?.failedAttempts[0]?.failure.cause;

/** The dead set by kind and cause, largest first; looks at every dead job. */
export function deadGroupsOf(jobs: JobStates, limit: number): DeadGroup[] {
  const groups = new Map<string, DeadGroup>();
  for (const id of jobs.dead.above(0)) {
    const job = jobs.byId.get(id);
    const failure = job?.extra?.failedAttempts[0]?.failure;
    if (!job || !failure) continue;
    const kind = job.lane.kind.name;
    const { diedAtMs } = extraOf(job);
    const key = JSON.stringify([kind, failure.cause]);
    const known = groups.get(key);
    groups.set(key, {
      kind,
      cause: failure.cause,
      count: (known?.count ?? 0) + 1,
      ...(known && known.lastAtMs > diedAtMs
        ? { class: known.class, lastAtMs: known.lastAtMs, example: known.example }
        : { class: failure.class, lastAtMs: diedAtMs, example: failure.message }),
    });
  }
  return [...groups.values()].sort((a, b) => b.count - a.count || b.lastAtMs - a.lastAtMs).slice(0, limit);
}

/** The lowest id of the dead and discarded jobs above a blocked one. */
export function ancestorOf(jobs: JobStates, blocked: MemoryJob): number {
  let lowest = Infinity;
  const seen = new Set<number>();
  const ahead = [...extraOf(blocked).parents];
  for (let id = ahead.pop(); id !== undefined; id = ahead.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const parent = jobs.byId.get(id);
    if (!parent || parent.state === 'dead') lowest = Math.min(lowest, id);
    else if (parent.state === 'blocked') ahead.push(...extraOf(parent).parents);
  }
  return lowest;
}
