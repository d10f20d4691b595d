import { beforeEach, describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import type { JobsPage, JobsQuery } from '../../../contract/queue-jobs.ts';
import { QueueJobs } from './queue-jobs.svelte.ts';
import { TestBackend } from './test-backend.ts';
import { settled } from './test-engine.ts';
import { queueJob } from './test-queue.ts';

let backend: TestBackend;
let nowMs: number;
/** The queue's jobs by id, oldest first; a page's cursor is the id it begins after. */
let stored: string[];
beforeEach(() => {
  backend = new TestBackend();
  nowMs = 0;
  stored = Array.from({ length: 250 }, (_, index) => String(index));
  backend.answer = (_method, input) => page(input as JobsQuery);
});
function page({ after, limit }: JobsQuery): JobsPage {
  const from = after === null ? 0 : stored.indexOf(after) + 1;
  const ids = stored.slice(from, from + limit);
  return {
    jobs: ids.map((id) => queueJob(id)),
    next: from + limit < stored.length ? (ids.at(-1) ?? null) : null,
    note: null,
  };
}
const queries = (): Partial<JobsQuery>[] =>
  backend.calls.map(({ input }) => {
    const { after, limit } = input as JobsQuery;
    return { after, limit };
  });
const open = async (): Promise<QueueJobs> => {
  const jobs = new QueueJobs(backend, { connectionId: 'q', tenantId: '3', list: 'ready' }, () => nowMs);
  await settled();
  return jobs;
};

describe('a list of jobs', () => {
  it('is read page by page by its cursor, to the end', async () => {
    const jobs = await open();
    expect(jobs.jobs).toHaveLength(100);
    await jobs.more();
    await jobs.more();
    expect(jobs.jobs.map(({ id }) => id)).toEqual(stored);
    expect(jobs.next).toBeNull();
    await jobs.more();
    expect(queries()).toEqual([
      { after: null, limit: 100 },
      { after: '99', limit: 100 },
      { after: '199', limit: 100 },
    ]);
    expect(backend.calls[0]?.input).toMatchObject({ connectionId: 'q', tenantId: '3', list: 'ready' });
  });

  it('is read again as long as it is shown, so that it does not shrink', async () => {
    const jobs = await open();
    await jobs.more();
    stored = stored.slice(10);
    nowMs = 5_000;
    jobs.follow();
    await settled();
    expect(queries().at(-1)).toEqual({ after: null, limit: 200 });
    expect(jobs.jobs.map(({ id }) => id)).toEqual(stored.slice(0, 200));
    await jobs.more();
    expect(jobs.jobs.map(({ id }) => id)).toEqual(stored);
  });

  it('shows a job once that moved to the next page between two readings', async () => {
    const jobs = await open();
    stored = [...stored.slice(0, 99), 'new', ...stored.slice(100, 120), '98'];
    backend.answer = (_method, input) => page({ ...(input as JobsQuery), after: 'new' });
    await jobs.more();
    const ids = jobs.jobs.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.indexOf('98')).toBe(98);
  });

  it('that became very long waits for a hand', async () => {
    stored = Array.from({ length: 2_000 }, (_, index) => String(index));
    const jobs = await open();
    for (let pages = 0; pages < 5; pages += 1) await jobs.more();
    expect([jobs.jobs.length, jobs.tooLong]).toEqual([600, true]);
    nowMs = 60_000;
    jobs.follow();
    await settled();
    expect(jobs.jobs).toHaveLength(600);
    await jobs.again();
    expect([jobs.jobs.length, jobs.tooLong]).toEqual([500, false]);
  });

  it('drops a further page that was asked for before it was read again', async () => {
    const jobs = await open();
    const { answer } = backend;
    let late: ((page: JobsPage) => void) | undefined;
    backend.answer = () => new Promise<JobsPage>((resolve) => (late = resolve));
    const more = jobs.more();
    await settled();
    backend.answer = answer;
    await jobs.again();
    late?.(page({ list: 'ready', tenantId: null, after: '99', limit: 100 }));
    await more;
    expect(jobs.jobs).toHaveLength(100);
    await jobs.more();
    expect(jobs.jobs).toHaveLength(200);
  });

  it('goes on to the next page though it is being read again', async () => {
    const jobs = await open();
    nowMs = 5_000;
    jobs.follow();
    expect(jobs.first.loading).toBe(true);
    await jobs.more();
    await settled();
    expect([jobs.jobs.length, jobs.first.loading]).toEqual([200, false]);
  });

  it('that the system does not know says so and is not asked for again', async () => {
    backend.answer = () => ({ jobs: [], next: null, note: 'It holds nothing back.' });
    const jobs = await open();
    expect([jobs.isForeign, jobs.note]).toEqual([true, 'It holds nothing back.']);
    nowMs = 60_000;
    jobs.follow();
    await settled();
    expect(backend.calls).toHaveLength(1);
  });

  it('keeps its rows when a page cannot be read, and says why', async () => {
    const jobs = await open();
    backend.answer = () => {
      throw new HeadwayError('budget-exceeded', 'took longer than 500 ms');
    };
    await jobs.more();
    expect([jobs.jobs.length, jobs.moreError?.message, jobs.next]).toEqual([
      100,
      'took longer than 500 ms',
      '99',
    ]);
    await jobs.again();
    expect([jobs.jobs.length, jobs.first.error?.code]).toEqual([100, 'budget-exceeded']);
  });

  it('moves a cursor over its rows, and loses it with its job', async () => {
    const jobs = await open();
    jobs.move(1);
    expect(jobs.cursor).toBe('0');
    jobs.move(5);
    jobs.move(-1);
    expect(jobs.cursor).toBe('4');
    jobs.move(1_000);
    expect(jobs.cursor).toBe('99');
    await jobs.again();
    expect(jobs.cursor).toBe('99');
    stored = stored.slice(150);
    await jobs.again();
    expect([jobs.cursor, jobs.cursorIndex]).toEqual([null, -1]);
    jobs.move(-1);
    expect(jobs.cursor).toBe('249');
  });
});
