import { expect, it } from 'vitest';
import type { LogLine } from '../../contract/logs.ts';
import { LineQueue } from './line-queue.ts';

const line = (source: string, text: string): LogLine => ({
  seq: 0,
  readAtMs: 1,
  atMs: null,
  source,
  kind: 'line',
  level: null,
  text,
  timing: null,
});

it('gathers lines by connection, each source named once', () => {
  const queue = new LineQueue();
  queue.add('mail', [line('a', 'one'), line('b', 'two')], false);
  queue.add('jobs', [line('c', 'three')], true);
  queue.add('mail', [line('a', 'four\nfive')], true);
  const { batches } = queue.take();
  expect(batches).toMatchObject([
    {
      connectionId: 'mail',
      sources: ['a', 'b'],
      lines: [
        { source: 0, mayBeOld: false },
        { source: 1, mayBeOld: false },
        { source: 0, mayBeOld: true },
      ],
      text: 'one\ntwo\nfour five',
    },
    { connectionId: 'jobs', sources: ['c'], text: 'three' },
  ]);
  expect(queue.take().batches).toEqual([]);
});

it('takes no more than a slow writer leaves room for, and counts the rest', () => {
  const queue = new LineQueue();
  const megabyte = Array.from({ length: 100 }, () => line('a', 'x'.repeat(9_900)));
  for (let i = 0; i < 40; i += 1) queue.add('mail', megabyte, false);
  expect(queue.droppedOf('mail')).toBe(800);
  const { batches, size } = queue.take();
  expect(batches[0]?.lines).toHaveLength(3_200);
  // On its way is still in memory.
  queue.add('mail', megabyte, false);
  expect(queue.droppedOf('mail')).toBe(900);
  queue.arrived(size);
  queue.add('mail', megabyte, false);
  expect(queue.droppedOf('mail')).toBe(900);
  const second = queue.take();
  queue.lost(second.batches, second.size);
  expect(queue.droppedOf('mail')).toBe(1_000);
  expect(queue.droppedOf('jobs')).toBe(0);
});
