// The flows of many tenants as one: rates add up, also where they were watched for different times.
import type { Tally } from './flow-ledger.ts';

/**
 * A tally whose rate is the sum of the parts' rates and whose count (which its counting error comes from) is the
 * sum of theirs. Parts that were not watched are left out; with none left, nothing is covered.
 */
export function sumTallies(parts: readonly Tally[]): Tally {
  const watched = parts.filter((part) => part.coveredMs > 0);
  const count = watched.reduce((sum, part) => sum + part.count, 0);
  const perMs = watched.reduce((sum, part) => sum + part.count / part.coveredMs, 0);
  const coveredMs = perMs > 0 ? count / perMs : Math.min(...watched.map((part) => part.coveredMs));
  return { count, coveredMs: watched.length === 0 ? 0 : coveredMs };
}
