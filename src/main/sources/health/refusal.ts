import { HeadwayError } from '../../../contract/errors.ts';

/** Refusals that say nothing about the next read. After any other the session is of no use. */
const passing: readonly string[] = ['grant-missing', 'schema-mismatch', 'budget-exceeded', 'internal'];

/** Why one read was refused, in words; what ends the session, or is a bug, is thrown on. */
export function refusalOf(error: unknown): string {
  if (error instanceof HeadwayError && passing.includes(error.code)) return error.message;
  throw error;
}
