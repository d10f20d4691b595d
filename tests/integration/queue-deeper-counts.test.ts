// Sources of so many tenants that each is looked at little: the counts of long queues are learnt of a few tenants with each poll.
import { expect, test } from 'vitest';
import { bullmqSystem } from '../harness/systems/bullmq.ts';
import { graphileWorkerSystem } from '../harness/systems/graphile-worker.ts';
import { queenSystem } from '../harness/systems/queen.ts';

const never = new AbortController().signal;
const TENANTS = 60;
const EACH = 400;
/** 25 of them with each poll. */
const POLLS = 3;

test.each([
  ['Queen', queenSystem],
  ['BullMQ', bullmqSystem],
  ['Graphile Worker', graphileWorkerSystem],
])(
  '%s: at least a head at first, an estimate of all soon, and exact again when few are left',
  async (_, create) => {
    await using system = await create();
    await system.clear();
    await system.fill(TENANTS * EACH, TENANTS);
    const source = system.source();
    await using _closed = source;
    const kinds = new Set<string>();
    for (let poll = 0; poll < POLLS; poll++) {
      for (const { ready } of (await source.snapshot(never)).tenants) {
        kinds.add(ready.kind);
        if (ready.kind === 'at-least') expect(ready.value).toBeLessThanOrEqual(EACH);
        else expect(Math.abs(Math.log2(ready.value / EACH)), JSON.stringify(ready)).toBeLessThan(1);
      }
    }
    expect([...kinds].sort()).toEqual(['at-least', 'estimate']);
    const { tenants } = await source.snapshot(never);
    expect(tenants).toHaveLength(TENANTS);
    expect(tenants.every(({ ready }) => ready.kind === 'estimate')).toBe(true);
    await system.clear();
    await system.fill(TENANTS * 3, TENANTS);
    for (const { ready } of (await source.snapshot(never)).tenants)
      expect(ready).toEqual({ value: 3, kind: 'exact' });
  },
);
