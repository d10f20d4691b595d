import { expect, it } from 'vitest';
import { atLeast, estimate, exact } from '../../../core/count.ts';
import {
  formatAge,
  formatCount,
  formatDuration,
  formatRate,
  formatRatio,
  formatTimeToEmpty,
} from './figures.ts';
import { fromField, toField } from './metric.ts';

it.each([
  [0, '0 ms'],
  [412, '412 ms'],
  [999.6, '1.0 s'],
  [8_400, '8.4 s'],
  [9_960, '10 s'],
  [41_900, '41 s'],
  [59_999, '59 s'],
  [312_000, '5m 12s'],
  [3_600_000, '1h 00m'],
  [183 * 60_000, '3h 03m'],
  [53 * 3_600_000, '2d 05h'],
  [-1_500, '−1.5 s'],
])('%d ms is %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

it('says how well a count is known', () => {
  expect([exact(1_204), atLeast(10_000), estimate(1_204)].map(formatCount)).toEqual([
    '1,204',
    '10,000+',
    '≈1,204',
  ]);
});

it('shows what is not known as a dash, ages in whole seconds', () => {
  expect(formatRate(null)).toBe('–');
  expect(formatRate(0.24)).toBe('0.2');
  expect(formatRate(212.4)).toBe('212');
  expect(formatRatio(0.097)).toBe('9.7 %');
  expect(formatAge(7_900)).toBe('7 s');
  expect(formatAge(-50)).toBe('0 s');
});

it('gives the time to empty as a range or a word', () => {
  expect(formatTimeToEmpty({ kind: 'range', minMs: 60_000, maxMs: 120_000 })).toBe('in 1m 00s to 2m 00s');
  expect(formatTimeToEmpty({ kind: 'growing' })).toBe('growing');
});

it('edits thresholds in the unit people think in and stores them in that of the settings', () => {
  expect(toField(180_000, 'ms')).toBe('180');
  expect(fromField('180', 'ms')).toBe(180);
  expect(toField(0.1, 'ratio')).toBe('10');
  expect(fromField('12,5', 'ratio')).toBe(0.125);
  expect(fromField('', 'jobs')).toBeNull();
  expect(fromField('many', 'jobs')).toBeUndefined();
  expect(fromField('-1', 'jobs')).toBeUndefined();
});
