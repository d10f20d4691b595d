// What PostgreSQL says when it refuses, in the words and codes of Headway. By SQLSTATE.
import type { HeadwayError } from '../../contract/errors.ts';
import {
  type DatabaseAddress,
  databaseFailure,
  denied,
  full,
  lost,
  overBudget,
  place,
  refusal,
  type Refusal,
  tlsFailed,
} from './database-errors.ts';

const notAllowed = refusal(
  'grant-missing',
  false,
  (at, said) =>
    `User ${at.user} on ${place(at)} may not read what is needed: ${said}. An administrator runs GRANT USAGE ON SCHEMA and GRANT SELECT ON ALL TABLES IN SCHEMA … TO ${quotePgName(at.user)}.`,
);
const notAsExpected = refusal(
  'schema-mismatch',
  false,
  (at, said) =>
    `Database ${at.database} on ${place(at)} is not as expected: ${said}. Check the database, the schema and the kind of queue of this connection.`,
);

/** Codes that are not listed here keep the server's words. */
const refusals: Record<string, Refusal> = {
  '28000': denied,
  '28P01': denied,
  '3D000': refusal(
    'database-unknown',
    false,
    (at) => `${place(at)} has no database ${at.database}. Check its name.`,
  ),
  '3F000': notAsExpected,
  '42P01': notAsExpected,
  '42703': notAsExpected,
  '42883': notAsExpected,
  '42501': notAllowed,
  '53300': full,
  // Cancelled by statement_timeout or lock_timeout, or by an administrator.
  '57014': overBudget,
  '55P03': overBudget,
  '57P01': lost,
  '57P02': lost,
  '57P03': refusal(
    'unreachable',
    true,
    (at, said) => `${place(at)} is not ready: ${said}. It is asked again.`,
  ),
  '57P05': lost,
  '08000': lost,
  '08003': lost,
  '08006': lost,
};

/** An identifier between double quotes. */
export function quotePgName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Any failure of a session as a HeadwayError. What is not known keeps the server's words, as `internal`. */
export function postgresFailure(thrown: unknown, at: DatabaseAddress): HeadwayError {
  const code = codeOf(thrown);
  const said = thrown instanceof Error ? thrown.message : '';
  // pg has words instead of codes for what it finds out itself.
  if (/server does not support SSL/.test(said))
    return failure(thrown, at, { ...refusals, [code]: tlsFailed });
  if (/no encryption|SSL off/.test(said) && code === '28000')
    return failure(thrown, at, { '28000': tlsFailed });
  if (/SASL|password must be a string/.test(said)) return failure(thrown, at, { [code]: denied });
  const broken = /Connection terminated|Client has encountered a connection error|not queryable/.test(said);
  return databaseFailure(thrown, at, { code, refusals, broken });
}

function failure(thrown: unknown, at: DatabaseAddress, only: Record<string, Refusal>): HeadwayError {
  return databaseFailure(thrown, at, { code: codeOf(thrown), refusals: only, broken: false });
}

function codeOf(thrown: unknown): string {
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  if (typeof first !== 'object' || first === null) return '';
  return 'code' in first && typeof first.code === 'string' ? first.code : '';
}
