// Counts that say how well they are known. A number without its bound is a guess in disguise.
import { z } from 'zod';

/**
 * How many jobs: `exact`; `at-least` (a capped read saw this many and stopped); `estimate` (the optimiser's
 * word, within about 2 times).
 */
export const countSchema = z.object({
  value: z.int().nonnegative(),
  kind: z.enum(['exact', 'at-least', 'estimate']),
});
export type Count = z.infer<typeof countSchema>;

export const exact = (value: number): Count => ({ value, kind: 'exact' });
export const atLeast = (value: number): Count => ({ value, kind: 'at-least' });
export const estimate = (value: number): Count => ({ value, kind: 'estimate' });
export const zero: Count = exact(0);

const weakness = { exact: 0, 'at-least': 1, estimate: 2 } as const;

/** The sum of parts; it has the weakest kind of its parts. */
export function sumCounts(counts: Iterable<Count>): Count {
  let value = 0;
  let kind: Count['kind'] = 'exact';
  for (const count of counts) {
    value += count.value;
    if (weakness[count.kind] > weakness[kind]) kind = count.kind;
  }
  return { value, kind };
}
