// What MySQL, MariaDB and the network say when they refuse, in the words and codes of Headway.
import { HeadwayError } from '../../contract/errors.ts';
import type { ErrorCode } from '../../contract/errors.ts';

/** Where a session leads: what every message names. Never holds the password. */
export interface MysqlAddress {
  host: string;
  port: number;
  user: string;
  database: string;
}

interface Refusal {
  code: ErrorCode;
  retryable: boolean;
  message: (at: MysqlAddress, said: string) => string;
}

const place = (at: MysqlAddress) => `${at.host}:${at.port}`;
const refusal = (code: ErrorCode, retryable: boolean, message: Refusal['message']): Refusal => ({
  code,
  retryable,
  message,
});

const unreachable = refusal(
  'unreachable',
  true,
  (at, said) =>
    `${place(at)} cannot be reached: ${said}. Check that the database runs and that VPN and firewall let this machine in.`,
);
const lost = refusal(
  'unreachable',
  true,
  (at, said) => `The connection to ${place(at)} was lost: ${said}. The next poll connects anew.`,
);
const full = refusal(
  'unreachable',
  true,
  (at, said) =>
    `${place(at)} takes no more connections: ${said}. Raise max_connections or end idle connections.`,
);
const slow = refusal(
  'timeout',
  true,
  (at) => `${place(at)} did not answer in time. Check the network and the load of the database.`,
);
const noHost = refusal(
  'host-unknown',
  false,
  (at) =>
    `The host name ${at.host} is not known. Check its spelling, and that the VPN's name server is in use.`,
);
const denied = refusal(
  'authentication-failed',
  false,
  (at, said) =>
    `${place(at)} refuses user ${at.user}: ${said}. Check user and password, and from which hosts and with which TLS the account may connect.`,
);
const overBudget = refusal(
  'budget-exceeded',
  true,
  (at, said) =>
    `A read on ${place(at)} took longer than its budget and was stopped: ${said}. Headway polls less often until it is faster.`,
);
const tlsFailed = refusal(
  'tls-failed',
  false,
  (at, said) =>
    `No TLS with ${place(at)}: ${said}. Check the connection's TLS mode, its CA file and the certificate of the server.`,
);
const missingTable = refusal(
  'schema-mismatch',
  false,
  (at, said) =>
    `Database ${at.database} on ${place(at)} is not as expected: ${said}. Name Postal's main database.`,
);

/** By `code` of the errors of Node and mysql2; server errors carry the server's own symbol. */
const refusals: Record<string, Refusal> = {
  ENOTFOUND: noHost,
  EAI_AGAIN: { ...noHost, retryable: true },
  EAI_NONAME: noHost,
  ECONNREFUSED: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  EADDRNOTAVAIL: unreachable,
  ETIMEDOUT: slow,
  ECONNRESET: lost,
  EPIPE: lost,
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
    (at) => `${place(at)} has no database ${at.database}. Check the name of Postal's main database.`,
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

/** Failures of certificates, as OpenSSL and Node name them. */
const certificate =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|EPROTO)/;

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

function grantHint(at: MysqlAddress): string {
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
export function mysqlFailure(thrown: unknown, at: MysqlAddress): HeadwayError {
  if (thrown instanceof HeadwayError) return thrown;
  const code = mysqlErrorCode(thrown);
  const said = sayWithoutPeriod(thrown);
  const known = refusals[code] ?? (certificate.test(code) ? tlsFailed : undefined);
  if (known !== undefined) {
    return new HeadwayError(known.code, known.message(at, said), {
      retryable: known.retryable,
      cause: thrown,
    });
  }
  if (typeof thrown === 'object' && thrown !== null && 'fatal' in thrown && thrown.fatal === true) {
    return new HeadwayError('unreachable', lost.message(at, said), { retryable: true, cause: thrown });
  }
  return new HeadwayError('internal', `${place(at)}, database ${at.database}: ${said}.`, {
    retryable: true,
    cause: thrown,
  });
}

/** The failure of a call that its caller or its time limit ended. */
export function abortFailure(signal: AbortSignal, at: MysqlAddress): HeadwayError {
  const reason: unknown = signal.reason;
  if (reason instanceof HeadwayError) return reason;
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new HeadwayError('timeout', slow.message(at, ''), { retryable: true, cause: reason });
  }
  return new HeadwayError('cancelled', `The read on ${place(at)} was cancelled.`, { cause: reason });
}

function sayWithoutPeriod(thrown: unknown): string {
  // An AggregateError (several addresses tried) has an empty message: its first error says why.
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  const text = first instanceof Error ? first.message : String(first);
  return text.replace(/\.\s*$/, '');
}
