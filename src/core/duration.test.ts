import { describe, expect, it } from 'vitest';
import { atLeast, estimate, exact } from './count.ts';
import { formatCount, formatDuration, formatPercent } from './duration.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('formatDuration', () => {
  it.each([
    [-5_000, '0 ms'],
    [0, '0 ms'],
    [0.42, '0.4 ms'],
    [5, '5 ms'],
    [9.96, '10 ms'],
    [412, '412 ms'],
    [940, '940 ms'],
    [999, '999 ms'],
    [999.6, '1.0 s'],
    [1_084, '1.1 s'],
    [8_400, '8.4 s'],
    [9_949, '9.9 s'],
    [9_960, '10 s'],
    [12_300, '12 s'],
    [41_999, '41 s'],
    [59_999, '59 s'],
    [60_000, '1m 00s'],
    [312_000, '5m 12s'],
    [HOUR - 1, '59m 59s'],
    [HOUR, '1h 00m'],
    [65 * MINUTE, '1h 05m'],
    [2 * HOUR + 5 * MINUTE, '2h 05m'],
    [24 * HOUR - 1, '23h 59m'],
    [53 * HOUR, '2d 05h'],
    [76 * HOUR, '3d 04h'],
    [400 * 24 * HOUR, '400d 00h'],
  ])('%d ms is %s', (ms, text) => expect(formatDuration(ms)).toBe(text));
});

describe('formatCount', () => {
  it.each([
    [exact(0), '0'],
    [exact(999), '999'],
    [exact(1_204), '1,204'],
    [exact(3_536_585), '3,536,585'],
    [atLeast(200), '200+'],
    [atLeast(10_000), '10,000+'],
    [estimate(1_204), '≈ 1,204'],
    [estimate(67_698), '≈ 68 k'],
    [estimate(994_999), '≈ 990 k'],
    [estimate(999_999), '≈ 1 M'],
    [estimate(2_427_689), '≈ 2.4 M'],
    [estimate(3e9), '≈ 3 G'],
  ])('%j is %s', (count, text) => expect(formatCount(count)).toBe(text));
});

describe('formatPercent', () => {
  it.each([
    [0, '0 %'],
    [0.0004, '< 0.1 %'],
    [0.031, '3.1 %'],
    [0.05, '5 %'],
    [0.097, '9.7 %'],
    [0.0996, '10 %'],
    [0.97, '97 %'],
    [0.996, '> 99 %'],
    [1, '100 %'],
  ])('%d is %s', (ratio, text) => expect(formatPercent(ratio)).toBe(text));
});
