import { expect, test } from 'vitest';
import { exact } from '../../../core/count.ts';
import { barLength, stateGradient } from './state-bar.ts';

const row = (running: number, ready: number, delayed: number, stale = 0) => ({
  running: exact(running),
  ready: exact(ready),
  delayed: exact(delayed),
  stale: exact(stale),
});

test('the parts stand side by side in proportion; stale ones are part of the running', () => {
  expect(stateGradient(row(2, 6, 2, 1))).toBe(
    'linear-gradient(90deg, var(--series-5) 0.0% 10.0%, var(--series-3) 10.0% 20.0%, ' +
      'var(--series-1) 20.0% 80.0%, var(--series-6) 80.0% 100.0%)',
  );
});

test('nothing queued is no bar; a short queue is seen beside a long one', () => {
  expect(stateGradient(row(0, 0, 0))).toBe('none');
  expect(barLength(0, 10_000)).toBe(0);
  expect(barLength(3, 10_000)).toBe(4);
  expect(barLength(2_500, 10_000)).toBe(50);
  expect(barLength(10_000, 10_000)).toBe(100);
});
