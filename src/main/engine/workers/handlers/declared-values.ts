// Values that a kind declares in plain or by naming a secret, and texts in which no such secret may be read.
import { HeadwayError } from '../../../../contract/errors.ts';
import type { SecretRef } from '../../../../contract/secret-ref.ts';
import { JobError } from '../handler.ts';

/** The value of a secret; `what` names it in an error. Rejects when there is none, saying how to set it. */
export type ReadSecret = (ref: SecretRef, what: string) => Promise<string>;

/** Shorter ones would tear holes into every text. */
const SHORTEST_HIDDEN = 4;

export interface DeclaredValues {
  values: Record<string, string>;
  /** Replaces each secret among the values by "[secret]". */
  hide: (text: string) => string;
}

/**
 * Reads the secrets anew each time: one that was changed counts from the next job on. `what` names a value by its key.
 * Rejects with a JobError of class `transient` when a secret has no value: no fault of the job, so it is tried again.
 */
export async function resolveValues(
  declared: Record<string, string | SecretRef>,
  secret: ReadSecret,
  what: (key: string) => string,
): Promise<DeclaredValues> {
  const secrets: string[] = [];
  const entries = await Promise.all(
    Object.entries(declared).map(async ([key, value]) => {
      if (typeof value === 'string') return [key, value] as const;
      const read = await secret(value, what(key)).catch((error: unknown) => {
        // Its own words are for people and hold no value; those of anything else are not known to be so.
        const words = error instanceof HeadwayError ? error.message : `No value for ${what(key)}.`;
        throw new JobError('transient', words, { cause: error });
      });
      secrets.push(read);
      return [key, read] as const;
    }),
  );
  // Longest first: one secret may be a part of another.
  const hidden = secrets.filter((each) => each.length >= SHORTEST_HIDDEN).sort((a, b) => b.length - a.length);
  return {
    values: Object.fromEntries(entries),
    hide: (text) => hidden.reduce((shown, each) => shown.replaceAll(each, '[secret]'), text),
  };
}
