import { expect, it } from 'vitest';
import { fuzzyScore } from './fuzzy.ts';

const best = (query: string, texts: string[]): string | undefined =>
  texts
    .map((text) => ({ text, score: fuzzyScore(query, text) }))
    .filter(({ score }) => score !== null)
    .sort((a, b) => (b.score ?? 0) - (a.score ?? 0))[0]?.text;

it('needs all letters in order', () => {
  expect(fuzzyScore('mflw', 'mailflow')).not.toBeNull();
  expect(fuzzyScore('wolf', 'mailflow')).toBeNull();
});

it('prefers letters together and at the start of words', () => {
  expect(best('flow', ['fast lower owl', 'mailflow'])).toBe('mailflow');
  expect(best('so', ['also', 'Settings open'])).toBe('Settings open');
  expect(best('mail', ['mailflow-251', 'mailflow'])).toBe('mailflow');
});
