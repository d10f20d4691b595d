import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import { MOST_CLAIMS } from './pull-takers.ts';

/** Answers of `take` are built in memory; a lease outlives a deploy, not a forgotten laptop. */
const LONGEST_LEASE_S = 6 * 3_600;
const LONGEST_WAIT_S = 60;

const number = z.string().regex(/^\d+(\.\d+)?$/, 'use a number');

export const noQuerySchema = z.strictObject({});
export const pushQuerySchema = z.strictObject({ each: z.enum(['true', 'false']).default('false') });
export const takeQuerySchema = z.strictObject({
  n: number.default('1').transform(Number).pipe(z.int().min(1).max(MOST_CLAIMS)),
  lease: number.default('60').transform(Number).pipe(z.number().min(1).max(LONGEST_LEASE_S)),
  wait: number.default('0').transform(Number).pipe(z.number().max(LONGEST_WAIT_S)),
  kinds: z
    .string()
    .min(1)
    .transform((text) => text.split(','))
    .optional(),
});

/** What stands behind the question mark; `bad-request` names the parameter. */
export function parseQuery<S extends z.ZodType>(schema: S, search: string): z.infer<S> {
  const given: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(search)) {
    if (name in given) throw badQuery(name, 'is given twice');
    given[name] = value;
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  if (issue?.code === 'unrecognized_keys') throw badQuery(issue.keys[0] ?? '', 'is not known here');
  throw badQuery(String(issue?.path[0] ?? 'the query'), `cannot be used: ${issue?.message ?? ''}`);
}

const badQuery = (name: string, what: string): HeadwayError =>
  new HeadwayError('bad-request', `${name} ${what}`, { details: { field: name } });
