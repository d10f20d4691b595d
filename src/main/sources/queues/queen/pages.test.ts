// Pages of partitions: all of them, and smaller pages where one takes too long.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { HeadwayError } from '../../../../contract/errors.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { byPartition, Pages } from './pages.ts';

const row = z.object({ partition_id: z.string(), group: z.string() });
const never = new AbortController().signal;

/** A database of so many partitions, each with two rows, that answers no statement of more than `most` partitions. */
function database(partitions: number, most: number) {
  const asked: number[] = [];
  const rows = (_row: unknown, statement: string, _signal: AbortSignal, [after]: string[]) => {
    const limit = Number(statement);
    asked.push(limit);
    if (limit > most) return Promise.reject(new HeadwayError('budget-exceeded', 'too long'));
    const from = after?.startsWith('p') ? Number(after.slice(1)) + 1 : 0;
    const ids = Array.from(
      { length: Math.max(0, Math.min(limit, partitions - from)) },
      (_, i) => `p${from + i}`,
    );
    return Promise.resolve(
      ids.flatMap((partition_id) => ['a', 'b'].map((group) => ({ partition_id, group }))),
    );
  };
  // Only `rows` is called.
  return { session: { rows } as unknown as PostgresSession, asked };
}

test.each([0, 1, 1_999, 2_000, 2_001, 6_000])('%i partitions are read once each', async (partitions) => {
  const { session } = database(partitions, 5_000);
  const read = await new Pages().read(session, row, String, never);
  expect(read).toHaveLength(2 * partitions);
  expect(new Set(read.map(({ partition_id }) => partition_id)).size).toBe(partitions);
  expect(byPartition(read).map((rows) => rows.length)).toEqual(Array<number>(partitions).fill(2));
});

test('a page that takes too long is read in smaller ones, and so are the next', async () => {
  const { session, asked } = database(1_200, 500);
  const pages = new Pages();
  expect(await pages.read(session, row, String, never)).toHaveLength(2_400);
  expect(asked).toEqual([2_000, 1_000, 500, 500, 500]);
  await pages.read(session, row, String, never);
  expect(asked.slice(5)).toEqual([500, 500, 500]);
});

test('no more than 50,000 are read, and the smallest page that takes too long fails', async () => {
  expect(await new Pages().read(database(60_000, 5_000).session, row, String, never)).toHaveLength(100_000);
  await expect(new Pages().read(database(10, 1).session, row, String, never)).rejects.toMatchObject({
    code: 'budget-exceeded',
  });
});
