// Part of the conformance suite: random calls.
import fc from 'fast-check';

export const TENANTS = ['a', 'A', 'é', '📦'];
export const MODEL_KINDS = ['mail', 'sync'];

const scope = fc.record({
  tenantId: fc.constantFrom(null, ...TENANTS),
  kind: fc.constantFrom(null, ...MODEL_KINDS),
});
const filter = fc.oneof(
  fc.constant({}),
  fc.record({ tenantId: fc.constantFrom(...TENANTS) }),
  fc.record({ kind: fc.constantFrom(...MODEL_KINDS) }),
);
const limit = fc.integer({ min: 1, max: 4 });
const owner = fc.constantFrom('one', 'two');
const small = fc.nat({ max: 20 });

const newJob = fc.record({
  tenantId: fc.constantFrom(...TENANTS),
  kind: fc.constantFrom(...MODEL_KINDS),
  priority: fc.integer({ min: -1, max: 1 }),
  delayMs: fc.oneof(fc.constant(0), small),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  parents: fc.array(fc.nat({ max: 6 }), { maxLength: 3 }),
  onDeadParent: fc.constantFrom('block' as const, 'cancel' as const, 'release' as const),
  key: fc.option(fc.constantFrom('k', 'K'), { freq: 8 }),
});
const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      call: fc.constant('enqueue' as const),
      jobs: fc.array(newJob, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      call: fc.constant('claim' as const),
      owner,
      turns: fc.option(fc.subarray(TENANTS), { freq: 4 }),
      count: limit,
      kinds: fc.subarray(MODEL_KINDS, { minLength: 1 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      call: fc.constant('settle' as const),
      ends: fc.array(
        fc.record({
          pick: fc.nat({ max: 6 }),
          how: fc.constantFrom('done' as const, 'retry' as const, 'dead' as const, 'returned' as const),
          delayMs: small,
        }),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ call: fc.constant('promote' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      call: fc.constant('hold' as const),
      scope,
      mode: fc.constantFrom('pause' as const, 'drain' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ call: fc.constant('unhold' as const), scope }) },
  { weight: 2, arbitrary: fc.record({ call: fc.constant('requeue' as const), filter, limit }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('discard' as const), filter, limit }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('release' as const), filter, limit }) },
  {
    weight: 1,
    arbitrary: fc.record({ call: fc.constant('cancel' as const), filter, limit: fc.constant(1) }),
  },
  { weight: 1, arbitrary: fc.record({ call: fc.constant('reclaim' as const), owner }) },
);
export type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
/** A call, and the ms that pass before it. */
export const modelOperation = fc.tuple(operation, fc.nat({ max: 10 }));
