import { describe, expect, it } from 'vitest';
import { notTold } from './connection-kind.ts';

describe('notTold', () => {
  it.each([
    ['postal', 'deadSet', 'not told by Postal'],
    ['postal', 'kindFailureRate', 'not told by Postal'],
    ['queue', 'kindFailureRate', "not told by a queue's tables"],
    ['queue', 'workerMemory', "not told by a queue's tables"],
    ['queue', 'deadSet', null],
    ['queue', 'lag', null],
    ['engine', 'workerMemory', null],
    ['local-engine', 'deadSet', null],
  ] as const)('of kind %s and rule %s is %s', (kind, metric, words) => {
    expect(notTold(kind, metric)).toBe(words);
  });
});
