import { describe, expect, it } from 'vitest';
import { columnsFor } from './column-roles.ts';
import { nearNames } from './near-names.ts';
import { proposeMapping } from './propose-mapping.ts';
import { defaultOf } from './propose-states.ts';
import { meaningOf, valuesInComment } from './state-words.ts';
import type { LookedColumn, TableLook } from './table-look.ts';

const column = (name: string, type = 'text', own: Partial<LookedColumn> = {}): LookedColumn => ({
  ...{ name, type, nullable: false, defaultValue: null, comment: '', allowed: null, isEnum: false },
  ...own,
});
const look = (columns: LookedColumn[], own: Partial<TableLook> = {}): TableLook => ({
  ...{ database: 'postgres', table: 'jobs', quotedName: '"jobs"', primaryKey: ['id'], indexed: [] },
  columns: [column('id', 'bigint'), ...columns],
  ...own,
});
const created = column('created_at', 'timestamp with time zone');
const seen = (...states: string[]) => states.map((state) => ({ state, attempts: null }));

describe('the words of states', () => {
  it.each([
    ['IN_PROGRESS', 'running'],
    ['InProgress', 'running'],
    ['in progress', 'running'],
    ['Queued', 'ready'],
    ['job_failed', 'dead'],
    ['canceled', 'done'],
    ['frobbed', null],
    ['', null],
  ])('%s means %s', (word, meaning) => {
    expect(meaningOf(word)).toBe(meaning);
  });

  it('are read out of comments, and out of nothing that is no list', () => {
    expect([...valuesInComment('0 = waiting; 1: in progress, 2 -> done (since 2019)')]).toEqual([
      ['0', 'waiting'],
      ['1', 'in progress'],
      ['2', 'done'],
    ]);
    expect(valuesInComment('see RFC 2821').size).toBe(0);
  });

  it.each([
    ["'queued'::text", 'queued'],
    ["'it''s'::how", "it's"],
    ['0', '0'],
    ['in progress', 'in progress'],
    ['now()', null],
    ['NULL::text', null],
    [null, null],
  ])('a default %s is %s', (text, value) => {
    expect(defaultOf(text)).toBe(value);
  });
});

describe('a proposal', () => {
  it('doubts where two columns may be the tenant, or the state', () => {
    const { mapping, doubts } = proposeMapping(
      look([column('status'), column('sync_status'), column('user_id'), column('tenant_id'), created]),
      seen('queued', 'running'),
    );
    expect(mapping).toMatchObject({ tenant: 'tenant_id', state: 'status' });
    expect(doubts).toEqual([
      'sync_status may be the state too; status was taken.',
      'tenant_id or user_id may be the tenant; tenant_id was taken. Choose whom workers must treat fairly.',
    ]);
  });

  it('guesses what is ready only where nothing tells, and says so', () => {
    const numbers = look([column('state', 'integer'), column('owner_id'), created]);
    const empty = proposeMapping(numbers, []);
    expect(empty.mapping.states.ready).toEqual(['0']);
    expect(empty.doubts.join(' ')).toContain("'0' is a guess");
    const told = proposeMapping(
      look([column('state', 'integer', { defaultValue: '7' }), column('owner_id'), created]),
      seen('7', '8'),
    );
    expect(told.mapping.states.ready).toEqual(['7']);
    expect(told.doubts.join(' ')).not.toContain('guess');
    expect(told.doubts.join(' ')).toContain("What '8' of state means is not told");
  });

  it('falls back on a queue, then a kind, and names what may be missing', () => {
    const byQueue = proposeMapping(
      look([column('status'), column('queue_name', 'text', { nullable: true }), created]),
      [],
    );
    expect(byQueue.mapping.tenant).toBe('queue_name');
    expect(byQueue.doubts.join(' ')).toContain('queue_name may be null');
    const byNothing = proposeMapping(look([column('status'), created]), seen('new', 'busy'));
    expect(byNothing.doubts.join(' ')).toContain('No column tells whose a job is');
  });

  it('says so where the key is of several columns, or there is none', () => {
    const doubtsOf = (primaryKey: string[]) =>
      proposeMapping(
        look([column('status'), column('user_id'), created], { primaryKey }),
        seen('new', 'busy'),
      ).doubts;
    expect(doubtsOf(['user_id', 'id']).join(' ')).toContain('several columns (user_id, id)');
    expect(doubtsOf([]).join(' ')).toContain('no primary key');
  });

  it('counts milliseconds where seconds would not need the room', () => {
    const { doubts, mapping } = proposeMapping(
      look([column('status'), column('user_id'), column('created_at', 'bigint')]),
      seen('new', 'busy'),
    );
    expect(mapping.createdAt).toBe('headway_created_at');
    expect(doubts.join(' ')).toContain('to_timestamp("created_at" / 1000.0)');
  });

  it('takes a span for no moment', () => {
    expect(columnsFor('readyAt', [column('retry_after', 'integer')])).toEqual([]);
    expect(columnsFor('readyAt', [column('retry_after', 'timestamp')])).toHaveLength(1);
  });

  it('refuses a table without a state or a time, and says what it has', () => {
    expect(() => proposeMapping(look([column('colour')]), [])).toThrow(/does not look like jobs.*id, colour/);
    expect(() => proposeMapping(look([column('status'), column('user_id')]), [])).toThrow(
      /no column of a time/,
    );
  });
});

describe('near names', () => {
  it('are those that somebody may have meant', () => {
    const names = ['app.import_jobs', 'job', 'users', 'jobs_archive', 'orders'];
    expect(nearNames('jobs', names)).toEqual(['app.import_jobs', 'job', 'jobs_archive']);
    expect(nearNames('x.oders', names)).toEqual(['orders']);
    expect(nearNames('zebra_crossing', names)).toEqual([]);
  });
});
