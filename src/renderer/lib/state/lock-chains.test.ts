import { describe, expect, it } from 'vitest';
import { lockChains } from './lock-chains.ts';
import type { LockNode } from './lock-chains.ts';
import { session } from './test-queue.ts';

const wait = (waiting: string, blockedBy: string[], forMs = 0) => ({
  waiting: session(waiting, forMs),
  blockedBy: blockedBy.map((id) => session(id)),
  on: `row of ${waiting}`,
});
const drawn = (nodes: readonly LockNode[]): string =>
  nodes
    .map(
      ({ session: { sessionId }, behind, waiting }) =>
        `${sessionId}:${behind}${waiting.length === 0 ? '' : `(${drawn(waiting)})`}`,
    )
    .join(' ');

describe('chains of locks', () => {
  it('begin with the one to blame, who blocks most first, the longest wait first', () => {
    const chains = lockChains([
      wait('b', ['a'], 10),
      wait('c', ['b'], 5),
      wait('d', ['a'], 20),
      wait('y', ['x'], 99),
    ]);
    expect(drawn(chains)).toBe('a:3(d:0 b:1(c:0)) x:1(y:0)');
    expect(chains[0]?.on).toBeNull();
    expect(chains[0]?.waiting[0]?.on).toBe('row of d');
  });

  it('show a session once, under the first that it waits for', () => {
    expect(drawn(lockChains([wait('c', ['a', 'b'])]))).toBe('a:1(c:0) b:0');
  });

  it('show everybody of a deadlock, and whoever waits behind it', () => {
    const chains = lockChains([wait('a', ['b'], 1), wait('b', ['a'], 9), wait('c', ['a'], 2)]);
    expect(drawn(chains)).toBe('b:2(a:1(c:0))');
  });

  it('take a session that blocks itself, or waits for nobody that is known, for a root', () => {
    expect(drawn(lockChains([wait('a', ['a']), wait('b', [])]))).toBe('a:0 b:0');
  });
});
