import { describe, expect, it } from 'vitest';
import type { FilterLine } from './log-filter.ts';
import { parseLogFilter, withTerm, withoutTerm } from './log-filter.ts';

const base: FilterLine = {
  source: 'worker@mail-1:22 /var/log/postal.log',
  level: 'info',
  text: 'Connection to mx1.example.org refused, Try Again Later server_id=3 queue_id="88" {"attempt": 2}',
  timing: null,
};
const attempt: FilterLine = {
  ...base,
  level: 'error',
  text: '[TIMING] {"server_id":17}',
  timing: {
    tenantId: '17',
    jobId: '4711',
    kind: 'example.org',
    startedAtMs: 0,
    totalMs: 2_500,
    stages: { dkim: 12, deliver: 2_400 },
    status: 'error',
    error: 'Net::ReadTimeout',
    sizeBytes: 20_000,
  },
};
const names = new Map([['17', 'Shop']]);
const passes = (filter: string, line: FilterLine): boolean =>
  parseLogFilter(filter, (id) => names.get(id)).matches(line);

describe('parseLogFilter', () => {
  it.each([
    ['', true],
    ['REFUSED mx1', true],
    ['refused accepted', false],
    ['"try again later"', true],
    ['"again try"', false],
    ['-refused', false],
    ['-"something else"', true],
    ['tenant=3', true],
    ['server_id=3', true],
    ['tenant=33', false],
    ['-tenant=3', false],
    ['tenant!=3', false],
    ['level>=info', true],
    ['level>=warn', false],
    ['level<warn', true],
    ['source=MAIL-1', true],
    ['source="worker@mail-1:22 /var/log/postal.log"', true],
    ['source=mail-2', false],
    ['queue_id=88', true],
    ['attempt=2', true],
    ['attempt>1', true],
    ['attempt>2', false],
    ['missing=1', false],
    ['missing!=1', true],
    ['total_ms>0', false],
    ['status=success', false],
  ])('a line of text: %s → %s', (filter, expected) => {
    expect(passes(filter, base)).toBe(expected);
  });

  it.each([
    ['tenant=17', true],
    ['tenant=shop', true],
    ['tenant=3', false],
    ['status=error level=error', true],
    ['status!=error', false],
    ['kind=EXAMPLE.org', true],
    ['job=4711', true],
    ['error=timeout', true],
    ['total_ms>1000', true],
    ['total_ms>=2.5s', true],
    ['total_ms>2.5s', false],
    ['deliver_ms>2s dkim_ms<20', true],
    ['load_ms>0', false],
    ['size>=20kB', true],
    ['size>1MB', false],
  ])('an attempt: %s → %s', (filter, expected) => {
    expect(passes(filter, attempt)).toBe(expected);
  });

  it.each([
    ['level=loud', 'level is debug, info, warn or error, not loud'],
    ['tenant>3', 'tenant takes = or !=, not >'],
    ['status=late', 'status is success or error, not late'],
    ['total_ms>soon', 'total_ms> needs a number of ms, or 2s, 5m, not soon'],
    ['tenant=', 'tenant= needs a value'],
    ['"try again', '"try again: the quote is not closed'],
  ])('names what is wrong with %s', (filter, problem) => {
    expect(parseLogFilter(filter).problems).toEqual([problem]);
  });

  it('lets a wrong term fall away and keeps the others', () => {
    const filter = parseLogFilter('level=loud refused');
    expect(filter.matches(base)).toBe(true);
    expect(filter.matches(attempt)).toBe(false);
  });

  it('takes a URL and a lone minus for words', () => {
    expect(parseLogFilter('https://mx1.example.org/?a=b -').problems).toEqual([]);
  });
});

describe('terms', () => {
  it('adds a term once and takes it out again', () => {
    const one = withTerm(' timeout ', 'tenant=3');
    expect(one).toBe('timeout tenant=3');
    expect(withTerm(one, 'tenant=3')).toBe(one);
    expect(withTerm(one, 'tenant=33')).toBe('timeout tenant=3 tenant=33');
    expect(withoutTerm(one, 'tenant=3')).toBe('timeout');
  });
});
