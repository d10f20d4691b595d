import { describe, expect, it } from 'vitest';
import { ByteBudget } from './byte-budget.ts';

describe('ByteBudget', () => {
  it('has room for one however large, and for others while they fit', () => {
    const budget = new ByteBudget(100);
    const large = budget.reserve(500);
    expect(large).not.toBeNull();
    expect(budget.reserve(1)).toBeNull();
    large?.[Symbol.dispose]();
    const first = budget.reserve(60);
    expect(budget.reserve(41)).toBeNull();
    const second = budget.reserve(40);
    expect(first?.resize(61)).toBe(false);
    expect(budget.usedBytes).toBe(100);
    expect(second?.resize(10)).toBe(true);
    expect(first?.resize(90)).toBe(true);
    first?.[Symbol.dispose]();
    first?.[Symbol.dispose]();
    second?.[Symbol.dispose]();
    expect(budget.usedBytes).toBe(0);
  });
});
