// What a schema refuses, in the words of a form.
import type { z } from 'zod';

/** By the path of the setting, as in `logHosts.0.inputs.0.path`. */
export type Problems = Readonly<Record<string, string>>;

/** What is wrong, in the words of a form. */
export function wordsFor(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small') {
    if (issue.origin === 'string') return 'Needed';
    return issue.origin === 'array'
      ? 'At least one is needed'
      : `${issue.inclusive === false ? 'More than' : 'At least'} ${issue.minimum}`;
  }
  if (issue.code === 'too_big')
    return `At most ${issue.maximum}${issue.origin === 'string' ? ' characters' : ''}`;
  if (issue.code === 'invalid_type')
    return issue.expected === 'number' || issue.expected === 'int' ? 'A number is needed' : 'Needed';
  return issue.code === 'invalid_union' ? 'Needed' : issue.message;
}
