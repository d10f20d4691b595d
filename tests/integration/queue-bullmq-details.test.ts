// What a person asks of BullMQ: lists, single jobs, locks and abilities, compared with BullMQ's own word and with all rows.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { jobListSchema, type JobList, type JobsPage, type QueueJob } from '../../src/contract/queue-jobs.ts';
import { inspectBullmq } from '../../src/main/sources/queues/bullmq/bullmq-reader.ts';
import { PostgresSession } from '../../src/main/sources/postgres-session.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import type { Source } from '../../src/main/sources/source.ts';
import { until } from '../harness/until.ts';
import { Bullmq, never, ODD } from './queue-bullmq-fixture.ts';

let bull: Bullmq;
beforeAll(async () => {
  bull = await Bullmq.start();
});
afterAll(() => bull[Symbol.asyncDispose]());
afterEach(() => bull.clear());

const query = (list: JobList, tenantId: string | null, limit = 500, after: string | null = null) => ({
  ...{ list, tenantId, limit, after },
});
async function allPages(
  source: Source,
  list: JobList,
  tenantId: string | null,
  limit: number,
): Promise<QueueJob[]> {
  const jobs: QueueJob[] = [];
  let after: string | null = null;
  do {
    const page: JobsPage = await source.details.jobs(query(list, tenantId, limit, after), never);
    if (page.next !== null) expect(page.jobs).toHaveLength(limit);
    jobs.push(...page.jobs);
    after = page.next;
  } while (after !== null);
  return jobs;
}
const idsOf = (jobs: readonly { id?: string | undefined }[]) => jobs.map(({ id }) => id);
/** The job's own id, without its queue. */
const ownIds = (jobs: readonly QueueJob[]) => jobs.map(({ id, tenantId }) => id.slice(tenantId.length + 1));

test('each list holds what BullMQ lists, in its order', async () => {
  const queue = bull.queue(ODD);
  for (let i = 0; i < 4; i++) await queue.add('fails', { i }, { attempts: 1 });
  const failing = bull.worker(ODD, () => Promise.reject(new Error('no way')), { name: 'north' });
  await until(async () => (await queue.getFailedCount()) === 4);
  await failing.close();
  const release = Promise.withResolvers<undefined>();
  for (let i = 0; i < 2; i++) await queue.add('held', { i });
  const holding = bull.worker(ODD, () => release.promise, { concurrency: 2 });
  try {
    await until(async () => (await queue.getActiveCount()) === 2);
    for (const priority of [0, 3, 1, 0, 3]) await queue.add('waits', {}, { priority });
    for (const delay of [3_000_000, 1_000_000, 2_000_000]) await queue.add('later', {}, { delay });
    await bull.flows().add({
      ...{
        name: 'report',
        queueName: ODD,
        data: {},
        children: [{ name: 'part', queueName: 'parts', data: {} }],
      },
    });
    await using source = bull.source();
    const list = async (name: JobList) => (await source.details.jobs(query(name, ODD), never)).jobs;
    const ready = await list('ready');
    expect(ownIds(ready)).toEqual(idsOf([...(await queue.getWaiting()), ...(await queue.getPrioritized())]));
    expect(ready.map(({ stateWord, priority }) => [stateWord, priority])).toEqual([
      ...[
        ['waiting', 0],
        ['waiting', 0],
        ['prioritized', 1],
        ['prioritized', 3],
        ['prioritized', 3],
      ],
    ]);
    expect(ownIds(await list('delayed'))).toEqual(idsOf(await queue.getDelayed()));
    expect(ownIds(await list('running')).sort()).toEqual(idsOf(await queue.getActive()).sort());
    expect(ownIds(await list('blocked'))).toEqual(idsOf(await queue.getWaitingChildren()));
    const dead = await list('dead');
    expect(ownIds(dead)).toEqual(idsOf(await queue.getFailed()));
    expect(dead[0]).toMatchObject({
      ...{
        tenantId: ODD,
        kind: 'fails',
        state: 'dead',
        stateWord: 'failed',
        error: 'no way',
        owner: 'north',
      },
      ...{ attempts: 1, maxAttempts: 1, stale: false },
    });
    const [running] = await list('running');
    expect(running).toMatchObject({
      state: 'running',
      stale: false,
      startedAtMs: expect.any(Number) as number,
    });
    expect(running?.owner).toMatch(/^[0-9a-f-]{36}:\d+$/);
    expect(await source.details.jobs(query('held', ODD), never)).toMatchObject({
      ...{ jobs: [], next: null, note: expect.stringContaining('paused queue') as string },
    });
    expect(await list('ready')).toHaveLength(5);
    expect((await source.details.jobs(query('ready', 'no such queue'), never)).jobs).toEqual([]);
  } finally {
    release.resolve(undefined);
    await holding.close();
  }
});
async function randomJobs(): Promise<void> {
  for (const [i, name] of ['a', ODD, 'c:d', 'zz'].entries()) {
    const size = 20 + i * 7;
    await bull.bulk(name, size, {
      priority: '(n * 7) % 3',
      seq: `nextval('bullmq.job_seq') * CASE n % 4 WHEN 0 THEN -1 ELSE 1 END`,
    });
    // Many at one moment: pages must not lose or repeat any.
    await bull.bulk(name, size, { state: `'delayed'`, process_at_ms: 'now_ms + 60000 + n / 9' });
    await bull.bulk(name, 9, { state: `'delayed'`, process_at_ms: 'now_ms - 60000 + n / 4' });
    await bull.bulk(name, size, { state: `'failed'`, finished_at_ms: 'now_ms - n / 5' });
    await bull.bulk(name, size, { state: `'waiting-children'` });
    await bull.bulk(name, size, {
      ...{
        state: `'active'`,
        processed_at_ms: 'now_ms - n / 3',
        locked_until_ms: 'now_ms + 5000 * (n - 10)',
        lock_token: `'w:' || n`,
      },
    });
    await bull.bulk(name, 5, { state: `'completed'`, finished_at_ms: 'now_ms' });
  }
}

/** Every list as a condition and an order over all rows. */
const LISTS: Record<Exclude<JobList, 'held'>, { where: string; order: string }> = {
  ready: {
    where: `state = 'waiting' OR state = 'delayed' AND process_at_ms <= extract(epoch FROM now()) * 1000`,
    order: `state, CASE state WHEN 'waiting' THEN queue END, CASE state WHEN 'waiting' THEN priority END,
            CASE state WHEN 'waiting' THEN seq END, process_at_ms, queue, id`,
  },
  delayed: {
    where: `state = 'delayed' AND process_at_ms > extract(epoch FROM now()) * 1000`,
    order: 'process_at_ms, queue, id',
  },
  running: { where: `state = 'active'`, order: 'processed_at_ms, queue, id' },
  blocked: { where: `state = 'waiting-children'`, order: 'seq, queue, id' },
  dead: { where: `state = 'failed'`, order: 'finished_at_ms DESC, queue, id' },
};

test.each(jobListSchema.options.filter((list) => list !== 'held'))(
  'pages of any size make up the whole list: %s',
  async (list) => {
    await randomJobs();
    await using source = bull.source();
    for (const tenantId of [null, ODD, 'c:d']) {
      const { rows } = await bull.root.query<{ key: string }>(
        `SELECT queue || ':' || id AS key FROM bullmq.job
          WHERE (${LISTS[list].where}) AND queue = coalesce($1, queue) ORDER BY ${LISTS[list].order}`,
        [tenantId],
      );
      expect(rows.length).toBeGreaterThan(20);
      for (const limit of [1, 7, 500].slice(tenantId === null ? 1 : 0))
        expect(idsOf(await allPages(source, list, tenantId, limit)), `${tenantId} by ${limit}`).toEqual(
          rows.map(({ key }) => key),
        );
    }
  },
);

test('a cursor of another list, or of nobody, is refused', async () => {
  await randomJobs();
  await using source = bull.source();
  const { next } = await source.details.jobs(query('dead', 'a', 1), never);
  for (const after of [
    next,
    'x',
    '{}',
    '{"walk":"waiting","last":{"queue":"a","number":"1e9","seq":"1","id":"1"}}',
  ])
    await expect(source.details.jobs(query('ready', 'a', 1, after), never)).rejects.toMatchObject({
      code: 'bad-request',
    });
});

test('a page deep in 100,000 jobs reads as little as the first', async () => {
  await bull.bulk('flood', 100_000, { priority: 'n % 2' });
  await bull.bulk('flood', 20_000, { state: `'failed'`, finished_at_ms: 'now_ms - n' });
  await bull.bulk('flood', 20_000, { state: `'completed'`, finished_at_ms: 'now_ms - n' });
  const keys = await bull.root.query<{
    queue: string;
    number: string;
    seq: string;
    id: string;
    state: string;
  }>(
    `SELECT queue, (CASE state WHEN 'waiting' THEN priority ELSE finished_at_ms END)::text AS number, seq::text, id, state
       FROM bullmq.job WHERE id IN (SELECT id FROM bullmq.job WHERE state IN ('waiting', 'failed') ORDER BY seq OFFSET 95000 LIMIT 15000)
      ORDER BY seq`,
  );
  const deep = (state: string, walk: string) => {
    const { state: _, ...last } = keys.rows.find((row) => row.state === state) ?? expect.fail(state);
    return JSON.stringify({ walk, last });
  };
  const readBy = async (list: JobList, after: string | null, tenantId: string | null) => {
    const before = await bull.blocksRead();
    {
      await using source = bull.source();
      const { jobs } = await source.details.jobs(query(list, tenantId, 50, after), never);
      expect(jobs.length).toBeGreaterThan(0);
    }
    return (await bull.blocksRead()) - before;
  };
  for (const tenantId of ['flood', null]) {
    expect(await readBy('ready', null, tenantId)).toBeLessThan(600);
    expect(await readBy('ready', deep('waiting', 'waiting'), tenantId)).toBeLessThan(600);
    expect(await readBy('dead', null, tenantId)).toBeLessThan(600);
    expect(await readBy('dead', deep('failed', 'failed'), tenantId)).toBeLessThan(600);
  }
});

describe('one job', () => {
  test('its columns, its payload without secrets, its failed attempts', async () => {
    const queue = bull.queue(ODD);
    const data = { to: 'a@b.c', password: 'hunter2', nested: { apiKey: 'k' } };
    const { id = '' } = await queue.add('send', data, { attempts: 3, jobId: 'repeat:of:mine' });
    let tries = 0;
    const worker = bull.worker(
      ODD,
      () => {
        tries += 1;
        throw new Error(`try ${tries} ${'x'.repeat(3_000)}`);
      },
      { name: 'north' },
    );
    await until(async () => (await queue.getFailedCount()) === 1);
    await worker.close();
    await using source = bull.source();
    const found = await source.details.job(`${ODD}:${id}`, never);
    const own = await queue.getJob(id);
    expect(found?.job).toMatchObject({
      ...{ id: `${ODD}:${id}`, tenantId: ODD, state: 'dead', attempts: own?.attemptsMade, maxAttempts: 3 },
      ...{ createdAtMs: own?.timestamp, startedAtMs: own?.processedOn, finishedAtMs: own?.finishedOn },
    });
    expect(found?.job.error).toHaveLength(2_000);
    expect(found?.job.error).toMatch(/^try 3 /);
    expect(found?.payload).toMatchObject({ shortened: false });
    expect(JSON.parse(found?.payload?.text ?? '')).toEqual({
      to: 'a@b.c',
      password: 'redacted',
      nested: { apiKey: 'redacted' },
    });
    expect(found?.attempts.map(({ attempt, error }) => [attempt, error?.slice(0, 13)])).toEqual([
      ...[
        [3, 'Error: try 3 '],
        [2, 'Error: try 2 '],
        [1, 'Error: try 1 '],
      ],
    ]);
    const fields = new Map(found?.fields.map(({ name, value }) => [name, value]));
    expect([...fields.keys()].slice(0, 4)).toEqual(['queue', 'id', 'seq', 'name']);
    expect(fields.get('max_attempts')).toBe('3');
    expect(fields.has('data')).toBe(false);
    expect(await source.details.job(`${ODD}:none`, never)).toBeNull();
    for (const other of ['nothing', '', ':', '\0:1', ':'.repeat(5_000)])
      expect(await source.details.job(other, never)).toBeNull();
  });

  test('a payload of megabytes is cut, results are redacted, a queue may have a colon', async () => {
    await bull.bulk('with:colon', 1, {
      ...{
        id: `'x:1'`,
        data: `jsonb_build_object('text', repeat('y', 3000000))`,
        return_value: `'{"token": "secret"}'`,
      },
      ...{ state: `'completed'`, finished_at_ms: 'now_ms', stacktrace: `'"odd"'` },
    });
    await using source = bull.source();
    const found = await source.details.job('with:colon:x:1', never);
    expect(found?.job).toMatchObject({ tenantId: 'with:colon', state: 'done', id: 'with:colon:x:1' });
    expect(found?.payload?.shortened).toBe(true);
    expect(found?.payload?.text.length).toBe(65_536);
    expect(found?.fields.find(({ name }) => name === 'return_value')?.value).toBe('{"token": "redacted"}');
    expect(found?.attempts).toEqual([]);
  });
});

test('locks: oldest first, stale ones marked, as many as were asked for', async () => {
  await randomJobs();
  await using source = bull.source();
  const { rows } = await bull.root.query<{ key: string; token: string; until: number }>(
    `SELECT queue || ':' || id AS key, lock_token AS token, locked_until_ms::float8 AS until
       FROM bullmq.job WHERE state = 'active' ORDER BY locked_until_ms, queue, id`,
  );
  const { locks, more, rule } = await source.details.locks({ tenantId: null, limit: 500 }, never);
  expect(more).toBe(false);
  expect(rule).toContain('30 s');
  expect(
    locks.map(({ jobId, owner, expiresAtMs }) => ({ key: jobId, token: owner, until: expiresAtMs })),
  ).toEqual(rows);
  expect(locks.filter(({ stale }) => stale).length).toBe(
    rows.filter(({ until: end }) => end < Date.now()).length,
  );
  const some = await source.details.locks({ tenantId: ODD, limit: 3 }, never);
  expect(some.more).toBe(true);
  expect(some.locks.map(({ jobId }) => jobId)).toEqual(
    rows
      .filter(({ key }) => key.startsWith(`${ODD}:`))
      .slice(0, 3)
      .map(({ key }) => key),
  );
});

describe('abilities', () => {
  test('what is declared works on the real functions', async () => {
    const queue = bull.queue('mail');
    const call = (expression: string) => bull.root.query(`SELECT bullmq.${expression}`);
    const { id = '' } = await queue.add('later', {}, { delay: 9_000_000, jobId: 'later' });
    await call(`pause('mail', true)`);
    expect(await queue.isPaused()).toBe(true);
    await call(`pause('mail', false)`);
    expect(await queue.isPaused()).toBe(false);
    await call(`change_delay('mail', '${id}', 60000, ${Date.now()})`);
    expect((await queue.getJob(id))?.delay).toBe(60_000);
    await call(`promote('mail', '${id}')`);
    expect(await queue.getJobState(id)).toBe('waiting');
    await call(`change_priority('mail', '${id}', 4, false)`);
    expect(await queue.getJobState(id)).toBe('prioritized');
    const release = Promise.withResolvers<undefined>();
    const worker = bull.worker('mail', () => release.promise.then(() => Promise.reject(new Error('no'))));
    worker.on('error', () => undefined);
    await until(async () => (await queue.getActiveCount()) === 1);
    await worker.pause(true);
    await call(`move_active_to_wait('mail', '${id}', '0', ${Date.now()})`);
    expect(await queue.getJobState(id)).toBe('prioritized');
    release.resolve(undefined);
    await worker.close();
    expect(await queue.getJobState(id), 'the worker’s late finish is refused').toBe('prioritized');
    const failing = bull.worker('mail', () => Promise.reject(new Error('no')));
    await until(async () => (await queue.getFailedCount()) === 1);
    await failing.close();
    await call(`reprocess_job('mail', '${id}', 'failed', false, true, true)`);
    expect(await queue.getJobState(id)).toBe('prioritized');
    await call(`remove('mail', '${id}', false)`);
    expect(await queue.getJob(id)).toBeUndefined();
  });

  test('an account that may not write is told; a function that is missing is not offered', async () => {
    await using readers = bull.source();
    const { actions, facts } = await readers.details.capabilities(never);
    expect(actions.pause).toMatchObject({ support: 'native', durable: true, coversNewArrivals: true });
    expect(actions.pause.hazards).toContainEqual(expect.stringContaining('may not write'));
    expect(actions.drain.support).toBe('none');
    expect(facts['claim-order'].kind).toBe('exact');
    const root = { user: 'postgres', password: bull.pg.password };
    {
      await using source = bull.source(root);
      expect((await source.details.capabilities(never)).actions.pause.hazards).not.toContainEqual(
        expect.stringContaining('may not write'),
      );
    }
    await bull.root.query('ALTER FUNCTION bullmq.pause RENAME TO pause_away');
    try {
      await using source = bull.source(root);
      const { pause, resume, retry } = (await source.details.capabilities(never)).actions;
      expect([pause.support, resume.support, retry.support]).toEqual(['none', 'none', 'protocol']);
    } finally {
      await bull.root.query('ALTER FUNCTION bullmq.pause_away RENAME TO pause');
    }
  });
});

test('watched statements can be explained; only the index that BullMQ lacks is not used', async () => {
  await bull.bulk(ODD, 2_000);
  await bull.bulk(ODD, 500, { state: `'delayed'`, process_at_ms: 'now_ms + n' });
  await bull.bulk(ODD, 500, { state: `'completed'`, finished_at_ms: 'now_ms + n' });
  await bull.bulk(ODD, 500, { state: `'active'`, locked_until_ms: 'now_ms + n' });
  await bull.root.query('ANALYZE bullmq.job');
  const { host, port, user, password } = bull.pg;
  const settings = databaseSchema.parse({ host, port, user, database: 'postgres' });
  await using session = await PostgresSession.open({ settings, password, statementTimeoutMs: 3_000 }, never);
  const reader = await inspectBullmq(session, 'bullmq', never);
  const { tables, statements } = await reader.watched(session, never);
  expect(tables).toEqual(['"bullmq"."job"', '"bullmq"."meta"', '"bullmq"."job_dependency"']);
  const plans = new Map<string, string>();
  for (const { name, sql } of statements) {
    const lines = await session.rows(z.object({ 'QUERY PLAN': z.string() }), `EXPLAIN ${sql}`, never);
    plans.set(name, lines.map((line) => line['QUERY PLAN']).join('\n'));
  }
  const indexOf = (name: string) => /(?:using|on) (job_\w+)/.exec(plans.get(name) ?? '')?.[1];
  expect(statements.map(({ name }) => [name, indexOf(name)])).toEqual([
    ['The claim of BullMQ', 'job_ready_idx'],
    ['What each claim of BullMQ promotes', 'job_delayed_idx'],
    ['What each claim of BullMQ counts under a limit for all workers', 'job_active_idx'],
    // It reads the whole table.
    ['BullMQ’s check for lost workers', undefined],
    ['BullMQ’s removal of old finished jobs', 'job_finished_idx'],
    ['Headway’s poll', expect.stringMatching(/^job_/) as string],
    ['Headway’s list of ready jobs', 'job_ready_idx'],
  ]);
  const wanted = statements.find(({ name }) => name.includes('lost workers'))?.wants[0];
  await bull.root.query(
    `CREATE INDEX headway_wanted ON ${wanted?.table ?? ''} (${wanted?.columns.join(', ') ?? ''}) WHERE ${wanted?.where ?? ''}`,
  );
  const check = statements.find(({ name }) => name.includes('lost workers'))?.sql ?? '';
  const again = await session.rows(z.object({ 'QUERY PLAN': z.string() }), `EXPLAIN ${check}`, never);
  expect(again.map((line) => line['QUERY PLAN']).join('\n')).toContain('headway_wanted');
  await bull.root.query('DROP INDEX bullmq.headway_wanted');
});
