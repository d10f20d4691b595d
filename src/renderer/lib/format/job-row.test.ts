import { describe, expect, it } from 'vitest';
import type { JobList, QueueJob } from '../../../contract/queue-jobs.ts';
import { queueJob } from '../state/test-queue.ts';
import { commonWord, rowOfQueueJob } from './job-row.ts';

const NOW = 1_000_000;
const row = (list: JobList, changes: Partial<QueueJob>, common: string | null = null) =>
  rowOfQueueJob(queueJob('1', { state: list, stateWord: list, ...changes }), { list, nowMs: NOW, common });

describe("a queue's job in its list", () => {
  it('is aged from what its list is about', () => {
    const times = { createdAtMs: 0, readyAtMs: 900_000, startedAtMs: 960_000, finishedAtMs: 990_000 };
    expect(row('ready', times).age).toBe('1m 40s');
    expect(row('running', times).age).toBe('40 s');
    expect(row('dead', times).age).toBe('10 s');
    expect(row('held', times).age).toBe('1m 40s');
    expect(row('delayed', { readyAtMs: NOW + 30_000 }).age).toBe('30 s');
  });

  it('that should have started is due, not minus some seconds', () => {
    expect(row('delayed', { readyAtMs: NOW - 5_000 }).age).toBe('due');
    expect(row('ready', { readyAtMs: NOW + 5_000 }).age).toBe('0 s');
  });

  it('without its time has no age', () => {
    expect(row('running', { startedAtMs: null }).age).toBeNull();
    expect(row('ready', { readyAtMs: null, createdAtMs: null }).age).toBeNull();
    expect(row('dead', {}).age).toBeNull();
  });

  it("says the system's own word where it tells something, and stale before all", () => {
    expect(row('delayed', { stateWord: 'retryable' }).word).toBe('retryable');
    expect(row('delayed', { stateWord: 'Delayed' }).word).toBeNull();
    expect(row('dead', { stateWord: 'failed' }, 'failed').word).toBeNull();
    expect(row('running', { stateWord: 'active', stale: true }, 'active')).toMatchObject({
      word: 'stale',
      mark: 'warning',
      state: 'running (active), stale',
    });
  });

  it('has a word in common with others only where all have it', () => {
    expect(commonWord([queueJob('1', { stateWord: 'a' }), queueJob('2', { stateWord: 'a' })])).toBe('a');
    expect(commonWord([queueJob('1', { stateWord: 'a' }), queueJob('2', { stateWord: 'b' })])).toBeNull();
    expect(commonWord([])).toBeNull();
  });
});
