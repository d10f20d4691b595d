// What MySQL and MariaDB say when they refuse, in the words and codes of Headway.
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

const missingTable = refusal(
  'schema-mismatch',
  false,
  (at, said) =>
    `Database ${at.database} on ${place(at)} is not as expected: ${said}. Check the database that this connection names, and what it should hold.`,
);

/** By `code` of mysql2's errors; server errors carry the server's own symbol. */
const refusals: Record<string, Refusal> = {
  PROTOCOL_CONNECTION_LOST: lost,
  ER_SERVER_SHUTDOWN: lost,
  ER_CONNECTION_KILLED: lost,
  ER_NEW_ABORTING_CONNECTION: lost,
  ER_QUERY_INTERRUPTED: lost,
  ER_CLIENT_INTERACTION_TIMEOUT: lost,
  ER_CON_COUNT_ERROR: full,
  ER_TOO_MANY_USER_CONNECTIONS: full,
  ER_USER_LIMIT_REACHED: full,
  ER_ACCESS_DENIED_ERROR: denied,
  ER_ACCESS_DENIED_NO_PASSWORD_ERROR: denied,
  ER_HOST_NOT_PRIVILEGED: denied,
  ER_HOST_IS_BLOCKED: denied,
  ER_ACCOUNT_HAS_BEEN_LOCKED: denied,
  ER_MUST_CHANGE_PASSWORD: denied,
  ER_MUST_CHANGE_PASSWORD_LOGIN: denied,
  ER_NOT_SUPPORTED_AUTH_MODE: denied,
  AUTH_SWITCH_PLUGIN_ERROR: denied,
  ER_BAD_DB_ERROR: refusal(
    'database-unknown',
    false,
    (at) => `${place(at)} has no database ${at.database}. Check its name.`,
  ),
  ER_DBACCESS_DENIED_ERROR: refusal(
    'grant-missing',
    false,
    (at) =>
      `User ${at.user} on ${place(at)} may not open database ${at.database}, or it does not exist. ${grantHint(at)}`,
  ),
  ER_TABLEACCESS_DENIED_ERROR: refusal(
    'grant-missing',
    false,
    (at, said) => `User ${at.user} on ${place(at)} may not read what is needed: ${said}. ${grantHint(at)}`,
  ),
  ER_COLUMNACCESS_DENIED_ERROR: refusal(
    'grant-missing',
    false,
    (at, said) => `User ${at.user} on ${place(at)} may not read what is needed: ${said}. ${grantHint(at)}`,
  ),
  ER_NO_SUCH_TABLE: missingTable,
  ER_BAD_FIELD_ERROR: missingTable,
  ER_STATEMENT_TIMEOUT: overBudget,
  ER_QUERY_TIMEOUT: overBudget,
  ER_LOCK_WAIT_TIMEOUT: overBudget,
  HANDSHAKE_NO_SSL_SUPPORT: tlsFailed,
  HANDSHAKE_SSL_ERROR: tlsFailed,
  ER_SECURE_TRANSPORT_REQUIRED: tlsFailed,
};

/** Symbols that mysql2 does not know, by number (MariaDB's range from 1900; MySQL's newest). */
const symbols: Record<number, string> = {
  1698: 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR',
  1927: 'ER_CONNECTION_KILLED',
  1969: 'ER_STATEMENT_TIMEOUT',
  3024: 'ER_QUERY_TIMEOUT',
  3118: 'ER_ACCOUNT_HAS_BEEN_LOCKED',
  3159: 'ER_SECURE_TRANSPORT_REQUIRED',
  4031: 'ER_CLIENT_INTERACTION_TIMEOUT',
  4151: 'ER_ACCOUNT_HAS_BEEN_LOCKED',
};

/** The statement that gives a reader what it needs on one database. Wildcards of GRANT are escaped. */
export function grantSelect(databasePattern: string, account: string): string {
  return `GRANT SELECT ON ${quoteName(databasePattern)}.* TO ${account};`;
}

/** `name` where GRANT would read `_` and `%` as wildcards. */
export function escapeGrantPattern(name: string): string {
  return name.replaceAll(/[_%\\]/g, '\\$&');
}

/** An identifier between backticks. */
export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

function grantHint(at: DatabaseAddress): string {
  return `An administrator runs: ${grantSelect(escapeGrantPattern(at.database), `'${at.user}'@'%'`)} (with the account's own host).`;
}

/** The server's symbol or Node's code of a thrown value; empty when it has none. */
export function mysqlErrorCode(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return '';
  if ('errno' in thrown && typeof thrown.errno === 'number') {
    const symbol = symbols[thrown.errno];
    if (symbol !== undefined) return symbol;
  }
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
}

/** Any failure of a session as a HeadwayError. What is not known keeps the server's words, as `internal`. */
export function mysqlFailure(thrown: unknown, at: DatabaseAddress): HeadwayError {
  const broken = typeof thrown === 'object' && thrown !== null && 'fatal' in thrown && thrown.fatal === true;
  return databaseFailure(thrown, at, { code: mysqlErrorCode(thrown), refusals, broken });
}
