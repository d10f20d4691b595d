import { expect, it } from 'vitest';
import { formatAge, formatRate, formatTimeToEmpty } from './figures.ts';
import { fromField, toField } from './metric.ts';

it('shows what is not known as a dash, ages in whole seconds', () => {
  expect(formatRate(null)).toBe('–');
  expect(formatRate(0.24)).toBe('0.2');
  expect(formatRate(212.4)).toBe('212');
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
