import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import type { Enqueued, NewJob } from '../job.ts';
import { VirtualClock } from '../virtual-clock.ts';
import { EnqueueGroups, type EnqueueGroupsParts } from './enqueue-groups.ts';

const job = (payload: number, more: Partial<NewJob> = {}): NewJob => ({
  tenantId: 'a',
  kind: 'mail',
  payload,
  ...more,
});
/** Payloads are ids; 666 is refused. */
function groupsOf(parts: Partial<EnqueueGroupsParts> = {}) {
  const calls: NewJob[][] = [];
  const groups = new EnqueueGroups({
    enqueue: (jobs) => {
      calls.push(jobs);
      const bad = jobs.findIndex(({ payload }) => payload === 666);
      if (bad >= 0)
        return Promise.reject(new HeadwayError('not-found', `Row ${bad}: there is no such kind.`));
      return Promise.resolve(jobs.map(({ payload }): Enqueued => ({ id: Number(payload), fresh: true })));
    },
    dependentKinds: new Set(['child']),
    clock: new VirtualClock(),
    ...parts,
  });
  return { groups, calls, payloads: () => calls.map((jobs) => jobs.map(({ payload }) => payload)) };
}
const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('EnqueueGroups', () => {
  it('puts what comes while one call is under way into the next, and answers each its own', async () => {
    const open: (() => void)[] = [];
    const seen: unknown[][] = [];
    const { groups } = groupsOf({
      enqueue: async (jobs) => {
        seen.push(jobs.map(({ payload }) => payload));
        await new Promise<void>((resolve) => open.push(resolve));
        return jobs.map(({ payload }): Enqueued => ({ id: Number(payload), fresh: true }));
      },
    });
    const first = groups.enqueue([job(1)]);
    await settled();
    const others = [groups.enqueue([job(2), job(3)]), groups.enqueue([job(4)])];
    open[0]?.();
    await first;
    await settled();
    open[1]?.();
    expect((await Promise.all(others)).map((answers) => answers.map(({ id }) => id))).toEqual([[2, 3], [4]]);
    expect(seen).toEqual([[1], [2, 3, 4]]);
  });

  it('finds the request that is refused and stores the others, each of them whole', async () => {
    const { groups } = groupsOf();
    const lists = [[1], [2, 666, 3], [4], [5, 6], [666], [7]];
    const answers = await Promise.allSettled(lists.map((list) => groups.enqueue(list.map((id) => job(id)))));
    expect(answers.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      false,
      true,
      true,
      false,
      true,
    ]);
    // Counted within its own request.
    expect(answers[1]).toMatchObject({ reason: { message: 'Row 1: there is no such kind.' } });
    expect(answers[3]).toMatchObject({ value: [{ id: 5 }, { id: 6 }] });
  });

  it('counts the rows anew that others wait for', async () => {
    const { groups, calls } = groupsOf();
    await Promise.all([
      groups.enqueue([job(1), job(2, { dependsOn: [{ row: 0 }] })]),
      groups.enqueue([job(3), job(4, { dependsOn: [{ row: 0 }, { id: 9 }] })]),
    ]);
    expect(calls[0]?.map(({ dependsOn }) => dependsOn)).toEqual([
      undefined,
      [{ row: 0 }],
      undefined,
      [{ row: 2 }, { id: 9 }],
    ]);
  });

  it('keeps a job that waits for others of its call from strangers', async () => {
    const { groups, payloads } = groupsOf();
    await Promise.all([
      groups.enqueue([job(1)]),
      groups.enqueue([job(2, { kind: 'child' })]),
      groups.enqueue([job(3)]),
    ]);
    expect(payloads()).toEqual([[1], [2], [3]]);
  });

  it('tells everybody at once when the store fails, and goes on', async () => {
    let fails = true;
    const { groups } = groupsOf({
      enqueue: (jobs) =>
        fails
          ? Promise.reject(new HeadwayError('unreachable', 'away'))
          : Promise.resolve(jobs.map(() => ({ id: 1, fresh: true }))),
    });
    const lost = await Promise.allSettled([groups.enqueue([job(1)]), groups.enqueue([job(2)])]);
    expect(lost.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    fails = false;
    expect(await groups.enqueue([job(3)])).toEqual([{ id: 1, fresh: true }]);
  });

  it('takes a large request alone, and refuses what would only pile up', async () => {
    const { groups } = groupsOf({ enqueue: () => new Promise(() => undefined) });
    void groups.enqueue(Array.from({ length: 150_000 }, (_, i) => job(i)));
    await settled();
    // The first is under way; these wait.
    void groups.enqueue(Array.from({ length: 99_999 }, (_, i) => job(i)));
    void groups.enqueue([job(1)]);
    await expect(groups.enqueue([job(2)])).rejects.toMatchObject({ answer: { status: 429 } });
  });
});
