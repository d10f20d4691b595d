import { describe, expect, it } from 'vitest';
import { allowanceUsedUp, retryAfterMs } from './retry-after.ts';

const NOW = Date.parse('2026-03-01T10:00:00Z');

describe('when to come again', () => {
  it.each([
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': 'Sun, 01 Mar 2026 10:01:30 GMT' }, 90_000],
    [{ 'retry-after': 'Sun, 01 Mar 2026 09:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, null],
    [{ 'ratelimit-reset': '30' }, 30_000],
    [{ ratelimit: '"default";r=0;t=45' }, 45_000],
    [{ ratelimit: 'limit=10, remaining=0, reset=5' }, null],
    [{ 'x-ratelimit-reset': String(NOW / 1000 + 60) }, 60_000],
    [{ 'x-ratelimit-reset': String(NOW + 5_000) }, 5_000],
    [{ 'x-ratelimit-reset': '7' }, 7_000],
    [{ 'retry-after': '1', 'x-ratelimit-reset': '7' }, 1_000],
    [{}, null],
  ])('%j', (headers, expected) => {
    expect(retryAfterMs(headers, NOW)).toBe(expected);
  });

  it('counts moments from the clock of the other side', () => {
    const headers = { date: 'Sun, 01 Mar 2026 08:00:00 GMT', 'retry-after': 'Sun, 01 Mar 2026 08:00:10 GMT' };
    expect(retryAfterMs(headers, NOW)).toBe(10_000);
  });
});

it('tells a used-up allowance from a limit that is only mentioned', () => {
  expect(allowanceUsedUp({ 'x-ratelimit-reset': '1', 'x-ratelimit-remaining': '12' })).toBe(false);
  expect(allowanceUsedUp({ 'x-ratelimit-reset': '1', 'x-ratelimit-remaining': '0' })).toBe(true);
  expect(allowanceUsedUp({ ratelimit: '"default";r=0;t=45' })).toBe(true);
  expect(allowanceUsedUp({ 'ratelimit-reset': '1' })).toBe(true);
  expect(allowanceUsedUp({})).toBe(false);
});
