// An engine with real handlers, as an application makes it.
import { engineSettingsSchema } from '../../src/contract/job-kinds.ts';
import { systemClock } from '../../src/main/engine/clock.ts';
import { Engine } from '../../src/main/engine/engine.ts';
import type { Store } from '../../src/main/engine/stores/store.ts';
import type { Attempt } from '../../src/main/engine/workers/attempt.ts';
import { createHandler } from '../../src/main/engine/workers/handlers/create-handler.ts';
import { Executors } from '../../src/main/engine/workers/handlers/executors.ts';

/** `kinds`: as settings declare them, by name; their relative paths start in `folder`. Disposes of the store too. */
export function anEngine(store: Store, folder: string, kinds: Record<string, object>, workers = 8) {
  const settings = engineSettingsSchema.parse({
    workers,
    kinds: Object.entries(kinds).map(([kind, declared]) => ({ kind, ...declared })),
  });
  const stack = new AsyncDisposableStack();
  stack.use(store);
  const executors = stack.use(new Executors(systemClock, workers));
  const handlers = settings.kinds.map((kind) => {
    const { handler: _, ...policy } = kind;
    const secret = (): Promise<string> => Promise.reject(new Error('there is no secret'));
    const handler = createHandler(kind, { folder, secret, clock: systemClock, executors });
    stack.defer(() => handler[Symbol.asyncDispose]?.());
    return { policy, handler };
  });
  const attempts: Attempt[] = [];
  const problems: Error[] = [];
  const engine = new Engine(
    {
      store,
      clock: systemClock,
      owner: 'test',
      random: () => 0,
      memory: () => ({ rssBytes: 0, limitBytes: 1 }),
      onAttempt: (attempt) => attempts.push(attempt),
      onProblem: (problem) => problems.push(problem),
    },
    handlers,
    settings,
  );
  stack.defer(() => engine.stop(0));
  return {
    engine,
    store,
    attempts,
    problems,
    of: (kind: string): Attempt[] => attempts.filter(({ claim }) => claim.kind === kind),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

export const jobOf = (kind: string, payload: unknown = null) => ({ tenantId: 'acme', kind, payload });
