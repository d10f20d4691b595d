import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../contract/errors.ts';
import { depthOf, engineFixture, jobs, kindOf } from './engine-fixture.ts';
import type { NewJob } from './job.ts';

const never = () => Promise.resolve();
const fixture = () =>
  engineFixture({
    kinds: () => [
      kindOf('sync', never, {
        priority: 7,
        retry: { maxAttempts: 9 },
        onDeadParent: 'cancel',
        payloadLimitMegabytes: 0.001,
      }),
      kindOf('normalise', never, { dependsOn: ['sync'] }),
      kindOf('embed', never, { dependsOn: ['normalise'] }),
    ],
  });
const job = (kind: string, more: Partial<NewJob> = {}): NewJob => ({
  tenantId: 'a',
  kind,
  payload: null,
  ...more,
});
const circle: { self?: unknown } = {};
circle.self = circle;

describe('enqueue refuses', () => {
  it.each<[string, NewJob, RegExp]>([
    [
      'a payload without a word in JSON',
      job('sync', { payload: undefined }),
      /its payload is no JSON data: undefined/,
    ],
    ['a function', job('sync', { payload: never }), /no JSON data: function/],
    ['a bigint', job('sync', { payload: { n: 1n } }), /no JSON data: .*BigInt/],
    ['a payload that holds itself', job('sync', { payload: circle }), /no JSON data: .*circular/],
    [
      'a payload over the limit of its kind',
      job('sync', { payload: 'é'.repeat(600) }),
      /its payload has 0\.00115 MB, its kind allows 0\.001 MB/,
    ],
    ['no tenant', job('sync', { tenantId: '' }), /tenantId must be a text of 1 to 255 characters/],
    ['a tenant that is too long', job('sync', { tenantId: 'x'.repeat(256) }), /tenantId must be/],
    [
      'a tenant no database keeps',
      job('sync', { tenantId: 'a\0b' }),
      /tenantId holds characters that are no text/,
    ],
    ['a priority that is no whole number', job('sync', { priority: 0.5 }), /priority must be/],
    ['no attempts', job('sync', { maxAttempts: 0 }), /maxAttempts must be/],
    ['a row that waits for itself', job('sync', { dependsOn: [{ row: 1 }] }), /it waits for itself/],
    [
      'a row that waits for none',
      job('sync', { dependsOn: [{ row: 9 }] }),
      /it waits for row 9, which is not there/,
    ],
  ])('%s, names the row, and stores nothing', async (_, bad, why) => {
    const { engine, store } = fixture();
    const error = await engine.enqueue([job('sync'), bad]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'bad-request', details: { row: '1' } });
    expect((error as HeadwayError).message).toMatch(/^Row 1: /);
    expect((error as HeadwayError).message).toMatch(why);
    expect(await depthOf(store, 'a')).toBeUndefined();
  });

  it('an unknown kind, and says which there are', async () => {
    const { engine } = fixture();
    await expect(engine.enqueue([job('sync'), job('fax')])).rejects.toMatchObject({
      code: 'not-found',
      message: 'Row 1: there is no kind "fax"; this engine knows embed, normalise, sync.',
    });
  });

  it('rows that wait for each other, and names them', async () => {
    const { engine, store } = fixture();
    await expect(
      engine.enqueue([
        job('sync'),
        job('sync', { dependsOn: [{ row: 3 }] }),
        job('sync', { dependsOn: [{ row: 1 }] }),
        job('sync', { dependsOn: [{ row: 2 }, { row: 0 }] }),
      ]),
    ).rejects.toMatchObject({
      code: 'bad-request',
      message: 'Row 1: rows wait for each other: 1 → 3 → 2 → 1.',
    });
    expect(await depthOf(store, 'a')).toBeUndefined();
  });

  it('a call whose rows wait for each other in more ways than a store can keep', async () => {
    const { engine } = fixture();
    const many = [...jobs('a', 400, { kind: 'sync' }), ...jobs('a', 400, { kind: 'normalise' })];
    await expect(engine.enqueue(many)).rejects.toMatchObject({
      code: 'bad-request',
      message: expect.stringMatching(/batch ids of their own/) as string,
    });
  });
});

describe('enqueue', () => {
  it('fills in what the kind says, unless the row says it', async () => {
    const { engine, store } = fixture();
    await engine.enqueue([job('sync'), job('sync', { priority: -1, maxAttempts: 2 })]);
    expect(await store.job(1)).toMatchObject({ priority: 7, maxAttempts: 9 });
    expect(await store.job(2)).toMatchObject({ priority: -1, maxAttempts: 2 });
  });

  it('lets kinds wait for their parents of the same tenant and batch, in whatever order they come', async () => {
    const { engine, store } = fixture();
    const answers = await engine.enqueue([
      job('embed', { batchId: 'x' }),
      job('normalise', { batchId: 'x' }),
      job('sync', { batchId: 'x' }),
      job('sync', { batchId: 'y' }),
      job('sync', { batchId: 'x', tenantId: 'b' }),
      job('normalise', { batchId: 'y' }),
      job('normalise', { batchId: 'z' }),
    ]);
    const waits = await Promise.all(answers.map(async ({ id }) => (await store.job(id))?.waitsFor));
    const id = (row: number): number | undefined => answers[row]?.id;
    expect(waits).toEqual([[id(1)], [id(2)], [], [], [], [id(3)], []]);
    const kinds = await Promise.all(answers.map(async (answer) => (await store.job(answer.id))?.kind));
    expect(kinds).toEqual(['embed', 'normalise', 'sync', 'sync', 'sync', 'normalise', 'normalise']);
  });

  it('keeps explicit parents beside those of the kind, also stored ones', async () => {
    const { engine, store } = fixture();
    const [early] = await engine.enqueue([job('sync')]);
    const answers = await engine.enqueue([
      job('normalise', { dependsOn: [{ id: early?.id ?? 0 }, { row: 1 }] }),
      job('sync', { tenantId: 'b' }),
      job('sync'),
    ]);
    const waitsFor = (await store.job(answers[0]?.id ?? 0))?.waitsFor;
    expect(waitsFor?.toSorted((a, b) => a - b)).toEqual([early?.id, answers[1]?.id, answers[2]?.id].sort());
  });
});

describe('enqueue row by row', () => {
  it('takes the good ones and says of each bad one why, also of those that wait for it', async () => {
    const { engine, store } = fixture();
    const answers = await engine.enqueueEach([
      job('fax'),
      job('sync', { dependsOn: [{ row: 0 }] }),
      job('sync', { tenantId: 'b', dependsOn: [{ row: 1 }] }),
      job('sync', { tenantId: 'c' }),
      job('sync', { tenantId: 'c', dependsOn: [{ row: 3 }] }),
    ]);
    expect(answers.map((answer) => (answer instanceof HeadwayError ? answer.message : answer.fresh))).toEqual(
      [
        'Row 0: there is no kind "fax"; this engine knows embed, normalise, sync.',
        'Row 1: row 0, which it waits for, was refused.',
        'Row 2: row 1, which it waits for, was refused.',
        true,
        true,
      ],
    );
    const last = answers[4];
    expect(last && 'id' in last ? (await store.job(last.id))?.waitsFor : null).toHaveLength(1);
    expect(await depthOf(store, 'c')).toMatchObject({ ready: { value: 1 }, waiting: { value: 1 } });
  });

  it('finds the rows that the store refuses among many', async () => {
    const { engine, store } = fixture();
    await engine.hold({ tenantId: 'shut', kind: null, mode: 'drain', by: 'anna', reason: '', sinceMs: 0 });
    const rows = Array.from({ length: 100 }, (_, i) =>
      job('sync', { tenantId: i % 10 === 7 ? 'shut' : 'open' }),
    );
    rows.push(job('sync', { tenantId: 'open', dependsOn: [{ row: 7 }] }));
    const answers = await engine.enqueueEach(rows);
    const refused = answers.flatMap((answer, row) => (answer instanceof HeadwayError ? row : []));
    expect(refused).toEqual([7, 17, 27, 37, 47, 57, 67, 77, 87, 97, 100]);
    expect(await depthOf(store, 'open')).toMatchObject({ ready: { value: 90 } });
  });

  it('rejects where the store fails', async () => {
    const { engine, store } = fixture();
    store.enqueue = () => Promise.reject(new HeadwayError('storage-failed', 'the disk is full'));
    await expect(engine.enqueueEach([job('sync'), job('sync')])).rejects.toThrow('the disk is full');
  });
});
