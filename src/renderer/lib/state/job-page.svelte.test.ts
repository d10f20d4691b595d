import { describe, expect, it } from 'vitest';
import type { RecentAttempt } from '../../../contract/engine-report.ts';
import type { JobRecord } from '../format/engine-words.ts';
import { attemptsOf, JobPageState } from './job-page.svelte.ts';
import { phasesOf } from './job-phases.ts';
import { TestBackend } from './test-backend.ts';
import { jobRecord, settled } from './test-engine.ts';

const failed = (attempt: number, startedAtMs: number): JobRecord['failedAttempts'][number] => ({
  attempt,
  owner: 'one',
  startedAtMs,
  waitMs: 1,
  runMs: 2,
  stages: {},
  failure: { class: 'timeout', message: 'it hung', cause: 'it hung', stderrTail: 'the end' },
});
const recent = (attempt: number, startedAtMs: number, error: string | null): RecentAttempt => ({
  jobId: 7,
  kind: 'sync',
  tenantId: '3',
  attempt,
  startedAtMs,
  waitMs: 1,
  runMs: 2,
  stages: {},
  error,
});

describe('the attempts of a job', () => {
  it('are told once each, newest first, with all that is known of them', () => {
    const job = jobRecord(7, { failedAttempts: [failed(2, 200), failed(1, 100)] });
    const rows = attemptsOf(job, [recent(1, 300, null), recent(2, 200, 'it hung')]);
    expect(
      rows.map(({ attempt, startedAtMs, error, failure }) => [attempt, startedAtMs, error, failure?.class]),
    ).toEqual([
      // Requeued, it counted from one again.
      [1, 300, null, undefined],
      [2, 200, 'it hung', 'timeout'],
      [1, 100, 'it hung', 'timeout'],
    ]);
  });
});

describe('the page of a job', () => {
  it('is read again with the views of its engine, at most every other second', async () => {
    let nowMs = 0;
    const backend = new TestBackend();
    backend.answer = () => ({ job: jobRecord(7), payload: null, recent: [] });
    const page = new JobPageState(backend, { connectionId: 'jobs', id: 7 }, () => nowMs);
    await settled();
    nowMs = 1_000;
    page.follow();
    expect(backend.calls).toHaveLength(1);
    nowMs = 2_000;
    page.follow();
    await settled();
    expect(backend.calls).toHaveLength(2);
    expect(page.ancestorId).toBeNull();
  });

  it('names the dead job behind which a blocked one waits', async () => {
    const backend = new TestBackend();
    const blocked = jobRecord(7, { state: 'blocked', waitsFor: [6] });
    backend.answer = (method) =>
      method === 'engine.job'
        ? { job: blocked, payload: null, recent: [] }
        : [{ job: blocked, ancestorId: 4 }];
    const page = new JobPageState(backend, { connectionId: 'jobs', id: 7 });
    await settled();
    expect(page.ancestorId).toBe(4);
  });
});

describe('phases', () => {
  const job = (id: number, kind: string, waitsFor: number[] = [], state: JobRecord['state'] = 'blocked') => ({
    id,
    kind,
    state,
    waitsFor,
  });

  it('put each job after the last it waits for, those of a kind in one box with the worst of their states', () => {
    const { columns, links } = phasesOf([
      job(1, 'sync', [], 'dead'),
      job(2, 'normalise', [1]),
      job(3, 'extract', [2], 'waiting'),
      job(4, 'extract', [2]),
      job(5, 'embed', [3, 4, 1]),
    ]);
    expect(
      columns.map((column) => column.map(({ kind, ids, state }) => `${kind} ${ids.join('+')} ${state}`)),
    ).toEqual([['sync 1 dead'], ['normalise 2 blocked'], ['extract 3+4 blocked'], ['embed 5 blocked']]);
    expect(links).toEqual([
      { from: '0 sync', to: '1 normalise' },
      { from: '1 normalise', to: '2 extract' },
      { from: '2 extract', to: '3 embed' },
      { from: '0 sync', to: '3 embed' },
    ]);
  });

  it('leave out what is not there, and end on a circle', () => {
    expect(phasesOf([job(2, 'a', [1])]).columns).toHaveLength(1);
    expect(phasesOf([job(1, 'a', [2]), job(2, 'b', [1])]).columns.flat()).toHaveLength(2);
  });
});
