// What a walk that was cut proves, at its edge.
import { expect, test } from 'vitest';
import { DueJobs } from './due-jobs.ts';

const job = (id: number, task_id: number, run_at_ms: number, priority = 0) => ({
  ...{ id, task_id, run_at_ms, priority, created_at_ms: run_at_ms, blocked: false },
});
const tasks = new Map([
  [1, 'first'],
  [2, 'second'],
]);

test('before the last moment of a cut walk nothing is unseen; at it something may be', () => {
  const walked = [job(1, 1, 100), job(2, 1, 200), job(9, 2, 300)];
  const due = new DueJobs({ walked, walkLimit: 3, morePriorities: false, heads: null }, tasks);
  expect(due.complete).toBe(false);
  expect(due.of(1)).toMatchObject({
    ready: { value: 2, kind: 'at-least' },
    oldestReady: { readyAtMs: 100, bound: 'exact' },
    behind: { ahead: { value: 0, kind: 'exact' } },
  });
  // A job of the same moment with a lower id may have been left out.
  expect(due.of(2)).toMatchObject({
    oldestReady: { readyAtMs: 300, bound: 'exact' },
    behind: { ahead: { value: 2, kind: 'at-least' } },
  });
});

test('a job of a later priority is proven oldest only up to where every walk came', () => {
  const walked = [job(1, 1, 100), job(2, 1, 200), job(3, 2, 150, 1), job(4, 1, 50, 2)];
  const cut = new DueJobs({ walked, walkLimit: 2, morePriorities: false, heads: null }, tasks);
  expect(cut.of(2).oldestReady).toMatchObject({ readyAtMs: 150, bound: 'exact' });
  expect(cut.of(2).behind).toMatchObject({ ahead: { value: 2, kind: 'at-least' } });
  const more = new DueJobs({ walked, walkLimit: 9, morePriorities: true, heads: null }, tasks);
  expect(more.of(2)).toMatchObject({
    oldestReady: { bound: 'at-least' },
    behind: { ahead: { value: 2, kind: 'exact' } },
  });
});
