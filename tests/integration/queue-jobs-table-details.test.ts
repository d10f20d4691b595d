// Lists, a job's page and claims of a mapped table on both databases, compared with all rows.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { JobList, JobsPage, QueueJob } from '../../src/contract/queue-jobs.ts';
import { jobsMappingSchema, type JobsMapping } from '../../src/contract/settings.ts';
import {
  clearDatabases,
  databases,
  isPostgres,
  never,
  pages,
  startDatabases,
  stopDatabases,
  type Database,
} from './queue-jobs-databases.ts';

beforeAll(startDatabases);
afterAll(stopDatabases);
beforeEach(clearDatabases);

/** Every column that a mapping can name; times may be missing. */
const whole: JobsMapping = jobsMappingSchema.parse({
  ...{ table: 'jobs', id: 'id', tenant: 'owner', kind: 'kind', state: 'state' },
  states: {
    ready: ['queued', 'retry'],
    running: ['busy'],
    delayed: ['later'],
    held: ['paused'],
    dead: ['failed', 'lost'],
    done: ['done'],
  },
  ...{ createdAt: 'created_at', readyAt: 'run_at', startedAt: 'started_at', finishedAt: 'ended at' },
  ...{ heartbeatAt: 'beat_at', staleAfterSeconds: 60, lockedBy: 'worker', attempts: 'tries' },
  ...{ maxAttempts: 'most', priority: 'prio', error: 'problem', payload: 'args', batch: 'batch' },
});
/** Of times, the creation only, which always is: lists walk an index. */
const plain: JobsMapping = jobsMappingSchema.parse({
  ...{ table: 'jobs', id: 'id', tenant: 'owner', state: 'state', states: whole.states },
  ...{ createdAt: 'created_at' },
});

interface Row {
  id: number;
  owner: string | null;
  state: string;
  createdAt: Date;
  runAt: Date | null;
  startedAt: Date | null;
  endedAt: Date | null;
  beatAt: Date | null;
}

const OWNERS = ['anna', `o'brien "the" \`best\``, '🦊 fox', 'back\\slash', 'x'.repeat(255)];
const STATES = ['queued', 'retry', 'busy', 'later', 'paused', 'failed', 'lost', 'done'];

/** Random rows of every owner and state; the same each time. */
function randomRows(count: number, nowMs: number): Row[] {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((seed / 2_147_483_648) * below);
  };
  // A minute around now is left out, so that nothing becomes ready while the test looks; whole seconds make ties.
  const ago = (seconds: number): Date => new Date(nowMs - (60 + random(seconds)) * 1000);
  const maybe = (time: Date): Date | null => (random(3) === 0 ? null : time);
  return Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    owner: random(30) === 0 ? null : (OWNERS[random(OWNERS.length)] ?? null),
    state: STATES[random(STATES.length)] ?? '',
    createdAt: ago(300),
    runAt: maybe(random(2) === 0 ? ago(300) : new Date(nowMs + (60 + random(300)) * 1000)),
    startedAt: maybe(ago(300)),
    endedAt: maybe(ago(300)),
    beatAt: random(2) === 0 ? maybe(ago(300)) : new Date(nowMs - 1000),
  }));
}

const quoted = (db: Database, name: string): string => (isPostgres(db) ? `"${name}"` : `\`${name}\``);

async function fill(db: Database, rows: readonly Row[], type: string): Promise<void> {
  const time = isPostgres(db) ? type : `${type} NULL`;
  await db.run(
    `CREATE TABLE jobs (id bigint PRIMARY KEY, owner varchar(255), state varchar(20) NOT NULL, created_at ${type} NOT NULL${isPostgres(db) ? '' : " DEFAULT '2020-01-01'"},
       run_at ${time}, started_at ${time}, ${quoted(db, 'ended at')} ${time}, beat_at ${time}, worker varchar(50), kind varchar(20), tries int, most int, prio int, problem text, args text, batch int)`,
  );
  const text = (value: string | null) =>
    value === null
      ? 'NULL'
      : `'${(isPostgres(db) ? value : value.replaceAll('\\', '\\\\')).replaceAll("'", "''")}'`;
  const at = (value: Date | null) =>
    text(
      value
        ?.toISOString()
        .replace('T', ' ')
        .replace('Z', isPostgres(db) ? '+00' : '') ?? null,
    );
  const values = rows.map(
    ({ id, owner: of, state, createdAt, runAt, startedAt, endedAt, beatAt }) =>
      `(${id}, ${text(of)}, ${text(state)}, ${[createdAt, runAt, startedAt, endedAt, beatAt].map(at).join(', ')}, 'w${id % 3}', 'mail', ${id % 4}, 5, ${id % 7}, 'no. ${id}', '{"n": ${id}, "token": "t"}', ${id % 9})`,
  );
  if (isPostgres(db)) await db.run("SET timezone = 'UTC'");
  await db.run(`INSERT INTO jobs VALUES ${values.join(', ')}`);
}

/** What a list should hold, by the definitions. */
function truth(rows: readonly Row[], mapping: JobsMapping, list: JobList, nowMs: number): Row[] {
  const { states } = mapping;
  const ms = (time: Date | null) => time?.getTime() ?? null;
  const ready = (row: Row) =>
    Math.max(ms(row.createdAt) ?? 0, mapping.readyAt === undefined ? 0 : (ms(row.runAt) ?? 0));
  const first = (...times: (Date | null | false)[]) =>
    times.find((time): time is Date => time !== null && time !== false)?.getTime() ?? 0;
  const { startedAt, heartbeatAt, finishedAt } = mapping;
  const key = (row: Row): number => {
    const beat = heartbeatAt !== undefined && row.beatAt;
    if (list === 'running') return first(startedAt !== undefined && row.startedAt, beat, row.createdAt);
    if (list === 'dead') return first(finishedAt !== undefined && row.endedAt, beat, row.createdAt);
    return ready(row);
  };
  const isIn = (row: Row): boolean => {
    if (list === 'blocked') return false;
    if (list === 'ready') return states.ready.includes(row.state) && ready(row) <= nowMs;
    if (list === 'delayed')
      return states.delayed.includes(row.state) || (states.ready.includes(row.state) && ready(row) > nowMs);
    return states[list].includes(row.state);
  };
  const sign = list === 'dead' ? -1 : 1;
  return rows
    .filter((row) => row.owner !== null && isIn(row))
    .sort((a, b) => sign * (key(a) - key(b) || a.id - b.id));
}

const jobsOf = (all: readonly JobsPage[]): QueueJob[] => all.flatMap(({ jobs }) => jobs);

describe.each(databases)('$name', (db) => {
  const index = (...columns: string[]) =>
    db.run(`CREATE INDEX made ON jobs (${columns.map((column) => quoted(db, column)).join(', ')})`);

  describe.each([
    ['every column', whole, ['state', 'owner']],
    ['every column, no index', whole, null],
    ['creation only', plain, ['owner', 'state', 'created_at']],
    ['creation only, no index', plain, null],
  ] as const)('%s', (_, mapping, columns) => {
    test.each(db.times)('every list is whole and in order, page by page (%s)', async (type) => {
      const nowMs = Date.now();
      const rows = randomRows(400, nowMs);
      await fill(db, rows, type);
      if (columns) await index(...columns);
      await using source = db.source({ mapping });
      for (const list of ['ready', 'delayed', 'running', 'held', 'dead'] as const) {
        const real = truth(rows, mapping, list, nowMs);
        for (const tenantId of [...OWNERS, null]) {
          const all = await pages(source, list, tenantId, 9);
          const wanted = real.filter((row) => tenantId === null || row.owner === tenantId);
          expect([list, tenantId, jobsOf(all).map(({ id }) => Number(id))]).toEqual([
            list,
            tenantId,
            wanted.map(({ id }) => id),
          ]);
          expect(new Set(jobsOf(all).map(({ state }) => state))).toEqual(
            new Set(wanted.length > 0 ? [list] : []),
          );
          // The index serves a tenant; and all of them, where it begins with the state and no other could have the order.
          const isServed = columns !== null && (tenantId !== null || columns[0] === 'state');
          expect([list, tenantId, all[0]?.note?.includes('CREATE INDEX') ?? false]).toEqual([
            list,
            tenantId,
            !isServed,
          ]);
        }
      }
    });
  });

  test('a job is told in full: its times, its columns, its payload without secrets', async () => {
    const rows = randomRows(50, Date.now());
    await fill(db, rows, db.times[1]);
    await using source = db.source({ mapping: whole });
    for (const row of rows.filter(({ owner: of }) => of !== null)) {
      const detail = await source.details.job(String(row.id), never);
      expect(detail?.job).toMatchObject({
        ...{ id: String(row.id), tenantId: row.owner, kind: 'mail', stateWord: row.state },
        ...{ createdAtMs: row.createdAt.getTime(), startedAtMs: row.startedAt?.getTime() ?? null },
        finishedAtMs: row.endedAt?.getTime() ?? null,
        readyAtMs: Math.max(row.createdAt.getTime(), row.runAt?.getTime() ?? 0),
        ...{ attempts: row.id % 4, maxAttempts: 5, priority: row.id % 7, owner: `w${row.id % 3}` },
        ...{
          error: `no. ${row.id}`,
          stale: row.state === 'busy' && (row.beatAt?.getTime() ?? Infinity) < Date.now() - 60_000,
        },
      });
      expect(detail?.payload).toEqual({ text: `{"n": ${row.id}, "token": "redacted"}`, shortened: false });
      expect(detail?.fields.map(({ name }) => name)).toEqual(
        'id owner state created_at run_at started_at,ended at,beat_at worker kind tries most prio problem batch'
          .split(',')
          .flatMap((part, i) => (i === 1 ? [part] : part.split(' '))),
      );
      expect(detail?.fields[1]?.value).toBe(row.owner);
    }
    for (const none of ['0', '-1', 'x', '1 OR 1 = 1', "'", '99999999999999999999999', ''])
      expect(await source.details.job(none, never)).toBeNull();
  });

  test('long errors and payloads are cut', async () => {
    await fill(db, randomRows(3, Date.now()), db.times[0]);
    await db.run(
      `UPDATE jobs SET owner = 'anna', state = 'failed', problem = REPEAT('é', 9000), args = REPEAT('ß', 70000)`.replace(
        '70000',
        isPostgres(db) ? '70000' : '30000',
      ),
    );
    await using source = db.source({ mapping: whole });
    const [job] = jobsOf(await pages(source, 'dead', null, 10));
    expect(job?.error).toBe('é'.repeat(2000));
    const detail = await source.details.job('1', never);
    expect(detail?.fields.find(({ name }) => name === 'problem')?.value).toBe(`${'é'.repeat(2000)}…`);
    expect([detail?.payload?.text.length, detail?.payload?.shortened]).toEqual(
      isPostgres(db) ? [65_536, true] : [30_000, false],
    );
  });

  test('claims: oldest first, stale by their heartbeat; none where the mapping tells of none', async () => {
    const nowMs = Date.now();
    const rows = randomRows(300, nowMs);
    await fill(db, rows, db.times[0]);
    const real = truth(rows, whole, 'running', nowMs);
    await using source = db.source({ mapping: whole });
    const { locks, rule, more } = await source.details.locks({ tenantId: null, limit: 500 }, never);
    expect(locks).toEqual(
      real.map(({ id, owner: of, startedAt, beatAt }) => ({
        ...{ jobId: String(id), tenantId: of, owner: `w${id % 3}`, lockedAtMs: startedAt?.getTime() ?? null },
        ...{ expiresAtMs: null, beatAtMs: beatAt?.getTime() ?? null },
        stale: beatAt !== null && beatAt.getTime() < nowMs - 60_000,
      })),
    );
    expect(new Set(locks.map(({ stale }) => stale)).size).toBe(2);
    expect([rule.includes('beat_at is older than 60 s'), more]).toEqual([true, false]);
    expect((await source.details.locks({ tenantId: 'anna', limit: 1 }, never)).more).toBe(true);
    await using without = db.source({ mapping: plain });
    expect(await without.details.locks({ tenantId: null, limit: 5 }, never)).toMatchObject({
      locks: [],
      more: false,
    });
  });

  test('what is no cursor, no tenant and no list is said', async () => {
    await fill(db, randomRows(400, Date.now()), db.times[0]);
    await using source = db.source({ mapping: whole });
    const look = (list: JobList, after: string | null, tenantId: string | null = null) =>
      source.details.jobs({ list, tenantId, after, limit: 2 }, never);
    const { next } = await look('ready', null);
    for (const after of [
      next,
      'x',
      '{}',
      '["dead","1","x"]',
      `["dead","' OR 1","1"]`,
      '["dead","2026-01-01 00:00:00","1"]',
    ])
      await expect(look('dead', after)).rejects.toMatchObject({ code: 'bad-request' });
    expect((await look('blocked', null)).note).toContain('does not tell');
    expect((await look('ready', null, 'nobody')).jobs).toEqual([]);
    const byNumber = { ...whole, tenant: 'batch' };
    await using numbers = db.source({ mapping: byNumber });
    await expect(
      numbers.details.jobs({ list: 'ready', tenantId: 'anna', after: null, limit: 2 }, never),
    ).rejects.toMatchObject({ code: 'bad-request' });
    expect(
      (await numbers.details.jobs({ list: 'ready', tenantId: '3', after: null, limit: 2 }, never)).jobs[0]
        ?.tenantId,
    ).toBe('3');
    const { running: _, ...rest } = plain.states;
    await using fewer = db.source({ mapping: { ...plain, states: { ...rest, running: [] } } });
    expect(
      (await fewer.details.jobs({ list: 'running', tenantId: null, after: null, limit: 2 }, never)).note,
    ).toContain('names no state of running jobs');
  });

  test('a killed connection is unreachable once', async () => {
    await fill(db, randomRows(50, Date.now()), db.times[0]);
    await using source = db.source({ mapping: whole });
    const look = () => source.details.locks({ tenantId: null, limit: 5 }, never);
    await look();
    await db.endSessions();
    const again = await look().catch((error: unknown) => error);
    if (again instanceof Error) expect(again).toMatchObject({ code: 'unreachable' });
    expect((await look()).locks).toHaveLength(5);
  });
});
