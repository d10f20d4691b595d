// Which tenants of the memory store have work, and which jobs an exchange hands over.
import type { Claim } from '../job.ts';
import { byteOrderKey } from './byte-order.ts';
import type { JobStates } from './memory-job-states.ts';
import type { MemoryJob } from './memory-job.ts';
import type { MemoryKind } from './memory-kind.ts';
import type { MemoryLane } from './memory-lane.ts';
import { EXCHANGE_PAYLOAD_BYTES, type Eligible, type ReadyTenant, type Take } from './store.ts';

/** Up to `limit` tenants with ready jobs of the kinds, from the first above `after` and around to it. */
export function readyTenants(
  kinds: readonly MemoryKind<MemoryLane>[],
  after: string | null,
  limit: number,
): ReadyTenant[] {
  const key = after === null ? null : byteOrderKey(after);
  const [only] = kinds;
  if (only && kinds.length === 1) {
    const lanes = only.circle.walk(key, null, limit);
    if (key !== null && lanes.length < limit)
      lanes.push(...only.circle.walk(null, key, limit - lanes.length));
    only.shown = lanes;
    return lanes.map((lane) => ({ tenantId: lane.tenantId, readyAtLeast: lane.ready }));
  }
  const ahead = merged(kinds, key, null, limit);
  if (key === null || ahead.length >= limit) return ahead;
  return [...ahead, ...merged(kinds, null, key, limit - ahead.length)];
}

function merged(
  kinds: readonly MemoryKind<MemoryLane>[],
  after: string | null,
  upTo: string | null,
  limit: number,
): ReadyTenant[] {
  const walks = kinds.map((kind) => kind.circle.walk(after, upTo, limit));
  const tenants: ReadyTenant[] = [];
  const places = walks.map(() => 0);
  while (tenants.length < limit) {
    let first: MemoryLane | undefined;
    for (const [i, walk] of walks.entries()) {
      const lane = walk[places[i] ?? 0];
      if (lane && (!first || lane.key < first.key)) first = lane;
    }
    if (!first) break;
    let ready = 0;
    for (const [i, walk] of walks.entries()) {
      const lane = walk[places[i] ?? 0];
      if (lane?.tenantId !== first.tenantId) continue;
      ready += lane.ready;
      places[i] = (places[i] ?? 0) + 1;
    }
    tenants.push({ tenantId: first.tenantId, readyAtLeast: ready });
  }
  return tenants;
}

/** The claims of one exchange: it knows what each kind may still have, and when there are payloads enough. */
export class ClaimBatch {
  readonly claims: Claim[] = [];
  readonly #jobs: JobStates;
  readonly #owner: string;
  readonly #kinds: readonly MemoryKind<MemoryLane>[];
  #payloadBytes = 0;

  /** `kinds`: those it may claim of; `eligible` says how many of each. */
  constructor(jobs: JobStates, owner: string, kinds: readonly MemoryKind<MemoryLane>[], eligible: Eligible) {
    this.#jobs = jobs;
    this.#owner = owner;
    this.#kinds = kinds;
    const limits = new Map(eligible.map(({ kind, limit }) => [kind, limit]));
    for (const kind of kinds) kind.budget = limits.get(kind.name) ?? Infinity;
  }

  /** The first job of each take in order, then the second of each, and so on. */
  takeTurns(takes: readonly Take[]): void {
    let open = this.#lanesOf(takes).filter(({ count }) => count > 0);
    for (let turn = 1; open.length > 0; turn++) {
      const goOn: typeof open = [];
      for (const one of open) {
        const job = headOf(one.lanes);
        if (!job) continue;
        if (!this.#take(job)) return;
        if (one.count > turn) goOn.push(one);
      }
      open = goOn;
    }
  }

  #lanesOf(takes: readonly Take[]): { lanes: readonly MemoryLane[]; count: number }[] {
    const [only] = this.#kinds;
    const shown = only && this.#kinds.length === 1 ? only.shown : [];
    let at = 0;
    return takes.map(({ tenantId, count }) => {
      // Whoever asks for turns has just been shown the tenants, and asks for them in that order.
      while (at < shown.length) {
        const lane = shown[at++];
        if (lane?.tenantId === tenantId) return { lanes: [lane], count };
      }
      return { lanes: this.#jobs.tenants.get(tenantId)?.lanes ?? [], count };
    });
  }

  /** The ready jobs with the lowest ids. Walks past those of tenants that are held. */
  takeFirst(count: number): void {
    const next = this.#kinds.map((kind) => kind.ready.next(0));
    while (this.claims.length < count) {
      let lowest = Infinity;
      for (const id of next) if (id !== null && id < lowest) lowest = id;
      if (lowest === Infinity) return;
      const at = next.indexOf(lowest);
      const kind = this.#kinds[at];
      const job = this.#jobs.byId.get(lowest);
      if (job && !job.lane.held && !this.#take(job)) return;
      next[at] = kind && kind.budget > 0 ? kind.ready.next(lowest) : null;
    }
  }

  /** Nothing more may be claimed. */
  close(): Claim[] {
    for (const kind of this.#kinds) {
      kind.budget = 0;
      kind.shown = [];
    }
    return this.claims;
  }

  /** False when its payload is too much for this exchange, and so every other's. */
  #take(job: MemoryJob): boolean {
    this.#payloadBytes += job.payloadBytes;
    if (this.claims.length > 0 && this.#payloadBytes > EXCHANGE_PAYLOAD_BYTES) return false;
    job.lane.kind.budget--;
    this.claims.push(this.#jobs.start(job, this.#owner));
    return true;
  }
}

/** The job whose turn it is, of the kinds that have something left to claim. */
function headOf(lanes: readonly MemoryLane[]): MemoryJob | null {
  let first: MemoryJob | null = null;
  for (const lane of lanes) {
    if (lane.ready === 0 || lane.held || lane.kind.budget <= 0) continue;
    const head = lane.next();
    if (head && (first === null || goesBefore(head, first))) first = head;
  }
  return first;
}

function goesBefore(a: MemoryJob, b: MemoryJob): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.readyAtMs < b.readyAtMs || (a.readyAtMs === b.readyAtMs && a.id < b.id);
}
