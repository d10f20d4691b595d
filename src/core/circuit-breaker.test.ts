import { describe, expect, it } from 'vitest';
import { CircuitBreaker } from './circuit-breaker.ts';

const T = 1_700_000_000_000;
const breaker = () =>
  new CircuitBreaker({ failureRatio: 0.5, minimumCalls: 4, windowMs: 60_000, openMs: 30_000 }, T);
const calls = (it: CircuitBreaker, results: string, atMs: number): void => {
  for (const result of results) {
    it.began(atMs);
    it.ended(result === '+', atMs);
  }
};

describe('CircuitBreaker', () => {
  it('stays closed under the minimum of calls and under the ratio', () => {
    const it = breaker();
    calls(it, '---', T);
    expect(it.state(T)).toBe('closed');
    expect(it.failureRatio(T)).toBeNull();
    const other = breaker();
    calls(other, '+++--', T);
    expect(other.failureRatio(T)).toBe(0.4);
    expect(other.allows(T)).toBe(Infinity);
  });

  it('opens when half of the calls in its window failed, and lets nothing through until its time is up', () => {
    const it = breaker();
    calls(it, '++--', T);
    expect(it.state(T)).toBe('open');
    expect(it.allows(T + 29_999)).toBe(0);
    expect(it.nextTryAtMs).toBe(T + 30_000);
    expect(it.history).toEqual([{ atMs: T, value: 'open' }]);
  });

  it('forgets calls that lie before its window', () => {
    const it = breaker();
    calls(it, '+--', T);
    calls(it, '+', T + 70_000);
    expect(it.failureRatio(T + 70_000)).toBeNull();
    calls(it, '-++', T + 70_000);
    expect(it.state(T + 70_000)).toBe('closed');
  });

  it('tries one call when its time is up: closes when that succeeds', () => {
    const it = breaker();
    calls(it, '----', T);
    const later = T + 30_000;
    expect(it.state(later)).toBe('half-open');
    expect(it.allows(later)).toBe(1);
    it.began(later);
    expect(it.allows(later)).toBe(0);
    it.ended(true, later + 50);
    expect(it.state(later + 50)).toBe('closed');
    expect(it.sinceMs).toBe(later + 50);
    // The failures from before are not held against it.
    expect(it.failureRatio(later + 50)).toBeNull();
  });

  it('opens again when the trial fails, and tries another when one was given up', () => {
    const it = breaker();
    calls(it, '----', T);
    const later = T + 30_000;
    it.began(later);
    it.abandoned(later + 10);
    expect(it.allows(later + 10)).toBe(1);
    it.began(later + 20);
    it.ended(false, later + 30);
    expect(it.state(later + 30)).toBe('open');
    expect(it.nextTryAtMs).toBe(later + 30 + 30_000);
  });

  it('hears no late answers of calls from before it opened', () => {
    const it = breaker();
    calls(it, '----', T);
    it.ended(true, T + 1);
    expect(it.state(T + 1)).toBe('open');
    it.ended(true, T + 30_000);
    expect(it.state(T + 30_000)).toBe('half-open');
  });
});
