import { describe, expect, it } from 'vitest';
import type { TimingAnalysis } from '../../../contract/log-search.ts';
import {
  changeOf,
  fairness,
  fitWords,
  formatBytes,
  moverWords,
  toldMovers,
  type Mover,
} from './timing-words.ts';

const mover = (values: Partial<Mover>): Mover => ({
  tenantId: '12',
  stage: 'deliver',
  fromMs: 180,
  toMs: 2_400,
  atMs: 1_000_000,
  finished: 900,
  ...values,
});
const finished = (...counts: number[]): TimingAnalysis['tenants'] =>
  counts.map((count, i) => ({ tenantId: `t${i}`, finished: count, failed: 0, stages: [], against: null }));
const nameOf = (id: string): string => id.toUpperCase();

describe('a change of a stage', () => {
  it('is told from what to what', () => {
    expect(moverWords(mover({}), 'server 12')).toBe('deliver p95 of server 12 rose from 180 ms to 2.4 s');
    expect(moverWords(mover({ stage: 'total', fromMs: 90, toMs: 30 }), 'a')).toBe(
      'run p95 of a fell from 90 ms to 30 ms',
    );
  });

  it('is told once with the run that it takes along', () => {
    const run = mover({ stage: 'total', fromMs: 200, toMs: 2_500, atMs: 1_030_000 });
    const other = mover({ tenantId: '7', stage: 'total' });
    const away = mover({ tenantId: '9' });
    const late = mover({ tenantId: '9', stage: 'total', atMs: 9_000_000 });
    const told = toldMovers([run, mover({}), other, away, late], 60_000);
    expect(told.map(({ tenantId, stage, run: with_ }) => [tenantId, stage, with_?.toMs ?? null])).toEqual([
      ['12', 'deliver', 2_500],
      ['7', 'total', null],
      ['9', 'deliver', null],
      ['9', 'total', null],
    ]);
  });
});

describe('fairness', () => {
  it('names the tenant that takes more than its turn', () => {
    const found = fairness(finished(900, 50, 50), 1_000, nameOf);
    expect(found.greedy).toBe('t0');
    expect(found.words).toContain('T0 took 90 % of what was finished, 2.7 times an equal turn');
    expect(found.jain).toBeCloseTo(1_000 ** 2 / (3 * (900 ** 2 + 2 * 50 ** 2)));
  });
  it('says so when none does, when one is alone, and nothing of nothing', () => {
    expect(fairness(finished(40, 30, 30), 100, nameOf)).toMatchObject({ greedy: null });
    expect(fairness(finished(40, 30, 30), 100, nameOf).words).toMatch(/^No tenant takes more than its turn/);
    expect(fairness(finished(40), 40, nameOf).words).toBe('Only T0 finished anything.');
    expect(fairness([], 0, nameOf)).toEqual({ jain: null, words: '', greedy: null });
  });
});

describe('size against time', () => {
  it('is told as times', () => {
    expect(fitWords({ slope: Math.log10(1.8), intercept: 0, r2: 0.12 })).toBe(
      '10 times larger takes 1.8 times longer; size explains 12 % of the differences.',
    );
    expect(fitWords({ slope: 0, intercept: 0, r2: 0 })).toMatch(/^10 times larger takes as long/);
    expect(fitWords({ slope: -1, intercept: 0, r2: 1 })).toMatch(/^10 times larger takes 10 times less/);
    expect(fitWords(null)).toContain('20 are needed');
  });
  it.each([
    [0, '0 B'],
    [640, '640 B'],
    [12_300, '12 kB'],
    [999_600, '1 MB'],
    [3_400_000, '3.4 MB'],
  ])('writes %d bytes', (bytes, words) => expect(formatBytes(bytes)).toBe(words));
});

describe('a second period', () => {
  it.each([
    [200, 100, 'time', 'slower', '+100 %'],
    [50, 100, 'time', 'faster', '−50 %'],
    [2_400, 180, 'time', 'slower', '×13'],
    [104, 100, 'time', 'same', ''],
    [30, 10, 'count', 'more', '+200 %'],
    [5, 0, 'errors', 'more', 'from 0'],
  ] as const)('%d after %d is %s: %s', (now, before, of, word, amount) => {
    expect(changeOf(now, before, of)).toMatchObject({ word, amount });
  });
  it('says nothing where one is not known', () => {
    expect(changeOf(null, 3, 'time')).toBeNull();
    expect(changeOf(0, 0, 'errors')).toBeNull();
  });
});
