// The values of a state column from several looks, each of which may fail by itself. What it cannot see it says.
import { HeadwayError } from '../../../contract/errors.ts';
import type { SeenState } from './table-look.ts';

export interface SeenValues {
  seen: SeenState[];
  /** Why rows were not, or not all, looked at. */
  doubts: string[];
}

/** Runs looks one after another; a slow or refused one is a doubt and no failure. */
export async function lookAtValues(
  looks: readonly (() => Promise<SeenState[]>)[],
  table: string,
): Promise<SeenValues> {
  const seen = new Map<string, SeenState>();
  const doubts = new Set<string>();
  for (const look of looks) {
    try {
      for (const { state, attempts } of await look()) {
        const before = seen.get(state)?.attempts ?? null;
        seen.set(state, { state, attempts: attempts === null ? before : Math.max(attempts, before ?? 0) });
      }
    } catch (error) {
      const doubt = error instanceof HeadwayError ? doubtOf(error, table) : null;
      if (doubt === null) throw error;
      doubts.add(doubt);
    }
  }
  return { seen: [...seen.values()], doubts: [...doubts] };
}

function doubtOf({ code, message }: HeadwayError, table: string): string | null {
  if (code === 'budget-exceeded')
    return `The rows of ${table} were not all looked at in time, so values of its state may be missing.`;
  if (code === 'grant-missing') return `No row was looked at, so that the states are a guess. ${message}`;
  return null;
}
