import { describe, expect, it } from 'vitest';
import { atLeast, estimate, exact } from '../../../core/count.ts';
import { DepthMemory } from './depth-memory.ts';

const depth = (value: number) => ({ ready: exact(value), delayed: exact(0) });

describe('DepthMemory', () => {
  it('picks every tenant in turn, unknown ones first', () => {
    const memory = new DepthMemory<string>(2);
    const seen: string[] = [];
    for (let poll = 0; poll < 4; poll++) {
      const picked = memory.pick(['a', 'b', 'c']);
      expect(picked).toHaveLength(2);
      for (const id of picked) memory.learn(id, depth(1));
      seen.push(...picked);
    }
    expect(seen.slice(0, 3).toSorted()).toEqual(['a', 'b', 'c']);
    expect(seen.filter((id) => id === 'a').length).toBeGreaterThanOrEqual(2);
    expect(memory.pick(['a', 'b', 'c', 'new'])[0]).toBe('new');
  });

  it('recalls what was learnt as an estimate, never less than what is seen', () => {
    const memory = new DepthMemory<string>(9);
    memory.learn('a', { ready: exact(5_000), delayed: atLeast(3) });
    expect(memory.recall('a', { ready: atLeast(8), delayed: atLeast(4) })).toEqual({
      ready: estimate(5_000),
      delayed: atLeast(4),
    });
    expect(memory.recall('a', { ready: exact(2), delayed: exact(0) })).toEqual({
      ready: exact(2),
      delayed: exact(0),
    });
    expect(memory.recall('b', { ready: atLeast(8), delayed: exact(0) }).ready).toEqual(atLeast(8));
  });

  it('forgets a tenant whose queue became short', () => {
    const memory = new DepthMemory<string>(9);
    memory.learn('a', depth(5_000));
    memory.pick([]);
    expect(memory.recall('a', { ready: atLeast(8), delayed: exact(0) }).ready).toEqual(atLeast(8));
  });
});
