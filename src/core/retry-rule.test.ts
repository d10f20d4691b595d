import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryAtMs, retryRules } from './retry-rule.ts';

const T = 1_700_000_000_000;
const rules = retryRules({});
const at = (of: keyof typeof rules, attempt: number, random: number, retryAfterMs: number | null = null) =>
  retryAtMs({ rule: rules[of], attempt, nowMs: T, random: () => random, retryAfterMs });

describe('retryAtMs', () => {
  it('doubles the longest wait with each attempt up to the ceiling of its class', () => {
    expect([1, 2, 3, 4].map((attempt) => at('transient', attempt, 1))).toEqual([
      T + 1_000,
      T + 2_000,
      T + 4_000,
      T + 8_000,
    ]);
    expect(at('transient', 40, 1)).toBe(T + 300_000);
    expect(at('quota', 40, 1)).toBe(T + 6 * 3_600_000);
  });

  it('never tries a permanent failure again', () => {
    expect(at('permanent', 1, 0.5, 1_000)).toBeNull();
  });

  it('obeys the time that the other side named, beyond any ceiling', () => {
    expect(at('rate-limit', 1, 0, 3_600_000)).toBe(T + 3_600_000);
    expect(at('quota', 3, 0, 24 * 3_600_000)).toBe(T + 24 * 3_600_000);
  });

  it('waits anything between nothing and the longest, and never before a named time', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('transient' as const, 'rate-limit' as const, 'quota' as const, 'timeout' as const),
        fc.integer({ min: 1, max: 1_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.option(fc.nat(10_000_000)),
        (of, attempt, random, retryAfterMs) => {
          const atMs = at(of, attempt, random, retryAfterMs) ?? 0;
          expect(atMs).toBeGreaterThanOrEqual(T + (retryAfterMs ?? 0));
          expect(atMs).toBeLessThanOrEqual(T + (retryAfterMs ?? 0) + rules[of].ceilingMs);
        },
      ),
    );
  });

  it('takes changes in seconds; a ceiling under its base counts as the base', () => {
    const changed = retryRules({ transient: { baseSeconds: 600 }, permanent: { retry: true } });
    expect(changed.transient).toEqual({ retry: true, baseMs: 600_000, ceilingMs: 600_000 });
    expect(changed.permanent.retry).toBe(true);
    expect(changed.quota).toEqual(rules.quota);
  });
});
