// The log store behind the contract: what a connection's log says is stored as it comes, found, and shown in its surroundings.
import { afterAll, expect, it } from 'vitest';
import { tempDir } from '../harness/temp.ts';
import { refusal, soon, TestBackend } from './backend-fixture.ts';

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

it('stores the lines of a built-in connection, searches them and shows what stood around', async () => {
  const { path } = stack.use(await tempDir('log-store-backend'));
  const connectionId = 'this-computer';
  {
    await using backend = await TestBackend.start(path, { version: 1, logs: { budgetMegabytes: 64 } });
    await backend.untilLive(connectionId);
    const stored = () => backend.call('logs.stored', { connectionId });
    await expect.poll(async () => (await stored()).lines, soon).toBeGreaterThan(5);
    expect(await stored()).toMatchObject({ limitBytes: 64 * 2 ** 20, unstored: 0, problem: null });
    expect(await refusal(backend.call('logs.stored', { connectionId: 'absent' }))).toMatchObject({
      code: 'not-found',
    });
  }
  await using backend = await TestBackend.start(path);
  await backend.untilLive(connectionId);
  const all = { connectionId, fromMs: null, toMs: null, order: 'oldest' as const };
  const search = await backend.follow('logSearch', { ...all, filter: 'total_ms>=0 level=', limit: 3 });
  const words = () => [search.snapshot, ...search.deltas];
  await expect.poll(() => words().at(-1)?.done, soon).toBe(true);
  const lines = words().flatMap((word) => word.lines);
  expect(search.failures).toEqual([]);
  expect(lines).toHaveLength(3);
  expect(words().at(-1)).toMatchObject({ more: true, problems: ['level= needs a value'] });
  for (const { timing } of lines) expect(timing?.totalMs).toBeGreaterThanOrEqual(0);

  const at = lines[1]?.at ?? '';
  const context = await backend.call('logs.context', { connectionId, at, before: 1, after: 1 });
  expect(context.lines.map((line) => line.at)).toContain(at);
  expect(context.lines).toHaveLength(3);
  const range = { fromMs: 0, toMs: Date.now() };
  const sizes = await backend.call('timing.sizes', {
    connectionId,
    ...range,
    tenantId: null,
    stage: 'total',
  });
  expect(sizes.isWhole).toBe(true);
});
