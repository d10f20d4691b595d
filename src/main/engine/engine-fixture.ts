// An engine on a store in memory, with time that stands still until a test moves it.
import { jobKindSchema } from '../../contract/job-kinds.ts';
import { sleep } from './clock.ts';
import type { EngineKind, EngineParts, EngineTuning } from './engine-parts.ts';
import { Engine } from './engine.ts';
import type { NewJob, TenantDepth } from './job.ts';
import { MemoryStore } from './stores/memory-store.ts';
import type { Store } from './stores/store.ts';
import { VirtualClock } from './virtual-clock.ts';
import type { Attempt } from './workers/attempt.ts';
import type { Handler } from './workers/handler.ts';

export const RUN_MS = 100;
export const tuned = (tuning: Partial<EngineTuning> = {}): EngineTuning => ({
  workers: 2,
  order: 'fair',
  tenants: {},
  ...tuning,
});

/** What the settings may say of a kind. */
type KindSettings = Record<string, unknown>;

/** A kind whose handler is a function of the test. */
export function kindOf(
  kind: string,
  run: Handler['run'],
  settings: KindSettings = {},
  more: Partial<Handler> = {},
): EngineKind {
  const { handler: _, ...policy } = jobKindSchema.parse({
    kind,
    handler: { type: 'command', command: ['x'] },
    ...settings,
  });
  return { policy, handler: { kind, runsIn: 'engine', run, ...more } };
}

export interface EngineFixture {
  engine: Engine;
  clock: VirtualClock;
  store: Store;
  attempts: Attempt[];
  problems: string[];
}

export interface FixtureOptions extends Partial<Omit<EngineParts, 'clock'>> {
  kinds?: (clock: VirtualClock) => EngineKind[];
  tuning?: Partial<EngineTuning>;
  clock?: VirtualClock;
}

/** Kind "mail" runs for RUN_MS unless the test brings other kinds. */
export function engineFixture({ kinds, tuning, clock: given, ...parts }: FixtureOptions = {}): EngineFixture {
  const clock = given ?? new VirtualClock();
  const store = parts.store ?? new MemoryStore(() => clock.now());
  const attempts: Attempt[] = [];
  const problems: string[] = [];
  const engine = new Engine(
    {
      store,
      clock,
      owner: 'one',
      random: () => 0.5,
      memory: () => ({ rssBytes: 100, limitBytes: 1_000 }),
      onAttempt: (attempt) => attempts.push(attempt),
      onProblem: (problem) => problems.push(problem.message),
      ...parts,
    },
    kinds?.(clock) ?? [kindOf('mail', (_job, { signal }) => sleep(clock, RUN_MS, signal))],
    tuned(tuning),
  );
  return { engine, clock, store, attempts, problems };
}

export const jobs = (tenantId: string, count = 1, more: Partial<NewJob> = {}): NewJob[] =>
  Array.from({ length: count }, () => ({ tenantId, kind: 'mail', payload: null, ...more }));

export async function depthOf(store: Store, tenantId: string): Promise<TenantDepth | undefined> {
  return (await store.depths(0)).tenants.find((tenant) => tenant.tenantId === tenantId);
}

/** `store` with some of its calls replaced. */
export function storeWith(store: Store, changes: Partial<Store>): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name in changes) return Reflect.get(changes, name) as unknown;
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      // A method of the store needs the store itself: its private fields are not the proxy's.
      return (value as (...args: unknown[]) => unknown).bind(target);
    },
  });
}
