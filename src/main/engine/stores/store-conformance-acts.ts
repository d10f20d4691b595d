// What the conformance suite does to a store, in few words.
import type { Claim, FailedAttempt, Failure, JobState, NewJob, Settlement, TenantDepth } from '../job.ts';
import type { Eligible, Exchange, Store } from './store.ts';

export interface StoreFixture {
  /** An empty store. */
  make: () => Promise<Store>;
  /** A second store on the database of the first, as another machine has it; null where nobody else can have it open. */
  another: ((first: Store) => Promise<Store>) | null;
  /** How many random sequences the model is tried with. */
  runs: number;
}

export const T = 1_700_000_000_000;
export const KINDS = ['mail', 'sync', 'report'];
export const ANY: Eligible = KINDS.map((kind) => ({ kind, limit: null }));

export const job = (tenantId: string, more: Partial<NewJob> = {}): NewJob => ({
  tenantId,
  kind: 'mail',
  payload: { to: tenantId },
  ...more,
});

/** Enqueues and answers the ids. */
export async function put(store: Store, jobs: NewJob[], nowMs = T): Promise<number[]> {
  return (await store.enqueue(jobs, nowMs)).map(({ id }) => id);
}

export type Ask = Partial<Pick<Exchange, 'owner' | 'settlements' | 'eligible' | 'cursor' | 'nowMs'>>;

/** So many of each tenant in turns, or so many first come first served. */
export function asked(what: number | Record<string, number> | null, ask: Ask = {}): Exchange {
  let take: Exchange['take'] = null;
  if (typeof what === 'number') take = { order: 'first-come', count: what };
  else if (what)
    take = {
      order: 'turns',
      takes: Object.entries(what).map(([tenantId, count]) => ({ tenantId, count })),
    };
  return { owner: 'one', settlements: [], take, eligible: ANY, cursor: null, nowMs: T, ...ask };
}

export async function claim(
  store: Store,
  what: number | Record<string, number>,
  ask: Ask = {},
): Promise<Claim[]> {
  return (await store.exchange(asked(what, ask))).claims;
}

/** Claims the job with the lowest id. */
export async function claimOne(store: Store, ask: Ask = {}): Promise<Claim> {
  const [claimed] = await claim(store, 1, ask);
  if (!claimed) throw new Error('nothing to claim');
  return claimed;
}

export const failed = (of: Claim, failure: Partial<Failure> = {}): FailedAttempt => ({
  attempt: of.attempt,
  owner: 'one',
  startedAtMs: of.claimedAtMs,
  waitMs: Math.max(0, of.claimedAtMs - of.readyAtMs),
  runMs: 7,
  stages: { connect: 3 },
  failure: { class: 'transient', message: '451 try later', cause: '451', stderrTail: null, ...failure },
});

export function ending(of: Claim, how: Settlement['how'], atMs = T, failure?: Partial<Failure>): Settlement {
  if (how === 'retry') return { claim: of, how, atMs, failed: failed(of, failure) };
  if (how === 'dead') return { claim: of, how, failed: failed(of, failure) };
  return { claim: of, how };
}

/** Ends claims of one owner and claims nothing; answers which counted. */
export async function settle(store: Store, settlements: Settlement[], ask: Ask = {}): Promise<boolean[]> {
  return (await store.exchange(asked(null, { ...ask, settlements }))).taken;
}

/** Claims that job, of those with the lowest ids, and sends it to the dead set. */
export async function kill(store: Store, id: number, nowMs = T, failure?: Partial<Failure>): Promise<void> {
  await endJob(store, id, 'dead', nowMs, failure);
}

/** Claims that job, whatever stands before it, and is done with it. */
export async function finish(store: Store, id: number, nowMs = T): Promise<void> {
  await endJob(store, id, 'done', nowMs);
}

async function endJob(
  store: Store,
  id: number,
  how: 'done' | 'dead',
  nowMs: number,
  failure?: Partial<Failure>,
): Promise<void> {
  const claims = await claim(store, 1_000, { nowMs });
  const counted = await settle(
    store,
    claims.map((one) => (one.id === id ? ending(one, how, nowMs, failure) : ending(one, 'returned'))),
    { nowMs },
  );
  if (!claims.some((one) => one.id === id) || counted.includes(false))
    throw new Error(`job ${id} could not be ended`);
}

export async function depthOf(store: Store, tenantId: string): Promise<TenantDepth | undefined> {
  return (await store.depths(1_000)).tenants.find((tenant) => tenant.tenantId === tenantId);
}

/** Of each job its state; null when it is not stored. */
export async function statesOf(store: Store, ids: readonly number[]): Promise<(JobState | null)[]> {
  const records = await Promise.all(ids.map((id) => store.job(id)));
  return records.map((record) => record?.state ?? null);
}

export const tenantsOf = (claims: readonly Claim[]): string =>
  claims.map(({ tenantId }) => tenantId).join('');
export const idsOf = (claims: readonly { id: number }[]): number[] => claims.map(({ id }) => id);
