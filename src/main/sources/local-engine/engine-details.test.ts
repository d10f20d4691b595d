import { describe, expect, it } from 'vitest';
import { capabilitiesSchema } from '../../../contract/capabilities.ts';
import type { JobsQuery } from '../../../contract/queue-jobs.ts';
import { engineDatabaseCapabilities, engineFileCapabilities } from '../engine-database/capabilities.ts';
import { localEngineCapabilities } from './capabilities.ts';
import { engineDetails } from './engine-details.ts';
import { engineJob } from './engine-job-fixture.ts';
import type { EngineJob, EngineListRequest } from './engine-reader.ts';

const T = 1_700_000_000_000;
const never = new AbortController().signal;

/** Over these jobs, listed by id; `pageOf`: how many of them a store looks through for a page. */
function detailsOf(jobs: EngineJob[], pageOf = Infinity) {
  const asked: EngineListRequest[] = [];
  const details = engineDetails({
    capabilities: localEngineCapabilities,
    lockRule: 'a rule',
    beats: () => Promise.resolve(null),
    list: (request) => {
      asked.push(request);
      const { state, tenantId, after, limit } = request;
      const seen = jobs.filter((job) => job.state === state && job.id > (after?.id ?? 0));
      const window = seen.slice(0, pageOf);
      const found = window.filter((job) => tenantId === null || job.tenantId === tenantId);
      const last = found.length > limit ? found[limit - 1] : seen.length > pageOf ? window.at(-1) : undefined;
      return Promise.resolve({ jobs: found.slice(0, limit), next: last ? { atMs: 0, id: last.id } : null });
    },
    job: (id) => Promise.resolve({ job: jobs.find((job) => job.id === id) ?? null, payload: null }),
  });
  const query = (more: Partial<JobsQuery>): JobsQuery => ({
    ...{ list: 'ready', tenantId: null, after: null, limit: 100 },
    ...more,
  });
  return { details, asked, page: (more: Partial<JobsQuery>) => details.jobs(query(more), never) };
}

describe('engineDetails', () => {
  it('lists the blocked before those that only wait, page by page', async () => {
    const { page } = detailsOf([
      ...[1, 3].map((id) => engineJob({ id, state: 'waiting', waitsFor: [9] })),
      ...[2, 4].map((id) => engineJob({ id, state: 'blocked', waitsFor: [8] })),
    ]);
    for (const limit of [1, 2, 3, 4, 9]) {
      const ids: string[] = [];
      let after: string | null = null;
      do {
        const { jobs, next } = await page({ list: 'blocked', after, limit });
        ids.push(...jobs.map(({ id }) => id));
        after = next;
      } while (after !== null);
      expect(ids).toEqual(['2', '4', '1', '3']);
    }
    const { jobs, note } = await page({ list: 'blocked' });
    expect(jobs.map(({ state, stateWord, readyAtMs }) => [state, stateWord, readyAtMs])).toEqual([
      ...Array.from({ length: 2 }, () => ['blocked', 'blocked', null]),
      ...Array.from({ length: 2 }, () => ['blocked', 'waiting for its parents', null]),
    ]);
    expect(note).toContain('First the jobs that wait for a dead one');
  });

  it('says when the order is not by age, when a page may hold less than there is, and what no list shows', async () => {
    const jobs = [1, 2, 3].map((id) => engineJob({ id, tenantId: id === 3 ? 'late' : 'a' }));
    const { page } = detailsOf(jobs, 2);
    expect((await page({ tenantId: null })).note).toContain('in the order of arrival');
    const first = await page({ tenantId: 'late' });
    expect(first).toMatchObject({ jobs: [], note: expect.stringContaining('there may be more') as string });
    const second = await page({ tenantId: 'late', after: first.next });
    expect(second).toMatchObject({ jobs: [{ id: '3' }], next: null, note: null });
    const held = await page({ list: 'held' });
    expect(held).toEqual({ jobs: [], next: null, note: expect.stringContaining('paused') as string });
  });

  it('refuses a cursor of another list', async () => {
    const { page, asked } = detailsOf([1, 2].map((id) => engineJob({ id })));
    const { next } = await page({ limit: 1 });
    expect(next).not.toBeNull();
    for (const [list, after] of [
      ['dead', next],
      ['held', next],
      ['ready', '[1]'],
      ['ready', 'nothing'],
      ['ready', '["ready","1; DROP TABLE job",1]'],
    ] as const)
      await expect(page({ list, after })).rejects.toMatchObject({ code: 'bad-request' });
    expect(asked).toHaveLength(1);
  });

  it('shows all of a job but its payload, and each attempt that failed', async () => {
    const failed = (attempt: number, owner: string, stderrTail: string | null) => ({
      ...{ attempt, owner, startedAtMs: T + attempt, waitMs: 1, runMs: 50, stages: {} },
      failure: { class: 'transient' as const, message: 'm'.repeat(3_000), cause: 'm', stderrTail },
    });
    const dead = engineJob({
      ...{ id: 5, state: 'dead', attempts: 2, batchId: 'night', waitsFor: [3, 4], priority: -1 },
      failedAttempts: [failed(2, 'engine one', null), failed(1, '', 'Killed')],
    });
    const { details } = detailsOf([dead]);
    const detail = await details.job('5', never);
    expect(detail?.job).toMatchObject({
      ...{ id: '5', state: 'dead', priority: -1, finishedAtMs: T + 52, error: 'm'.repeat(2_000) },
    });
    expect(Object.fromEntries(detail?.fields.map(({ name, value }) => [name, value]) ?? [])).toMatchObject({
      ...{
        id: '5',
        batch: 'night',
        'waits for': '3, 4',
        'created at': '2023-11-14T22:13:20.000Z',
        owner: null,
      },
    });
    expect(detail?.attempts.map(({ attempt, atMs, owner }) => [attempt, atMs, owner])).toEqual([
      [2, T + 2, 'engine one'],
      [1, T + 1, null],
    ]);
    const short = engineJob({
      failedAttempts: [
        {
          ...failed(1, 'x', 'Killed'),
          failure: { ...failed(1, 'x', 'Killed').failure, message: 'exit 137' },
        },
      ],
    });
    expect((await detailsOf([short]).details.job('1', never))?.attempts[0]?.error).toBe('exit 137\nKilled');
  });

  it('shows a time that no calendar holds as it is', async () => {
    const { details } = detailsOf([engineJob({ state: 'delayed', readyAtMs: 9e15 })]);
    const detail = await details.job('1', never);
    expect(detail?.fields.find(({ name }) => name === 'ready at')?.value).toBe('9000000000000000');
  });
});

describe('what engines declare', () => {
  it.each([
    ['local', localEngineCapabilities],
    ['database', engineDatabaseCapabilities],
    ['file', engineFileCapabilities],
  ])('is whole for an engine of kind %s, and every refusal has its reason', (_, capabilities) => {
    expect(capabilitiesSchema.parse(capabilities)).toEqual(capabilities);
    for (const { support, how, durable, hazards } of Object.values(capabilities.actions)) {
      expect(how).not.toBe('');
      expect(durable).toBe(support !== 'none');
      if (capabilities === engineFileCapabilities && support !== 'none')
        expect(hazards.at(-1)).toContain('no engine works on the file');
    }
  });
});
