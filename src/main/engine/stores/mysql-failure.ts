// What MySQL, MariaDB and the network say when they refuse the engine, in the words and codes of Headway.
import { HeadwayError, type ErrorCode } from '../../../contract/errors.ts';

interface Refusal {
  code: ErrorCode;
  retryable: boolean;
  advice: string;
}
const refusal = (code: ErrorCode, retryable: boolean, advice: string): Refusal => ({
  code,
  retryable,
  advice,
});

const unreachable = refusal(
  'unreachable',
  true,
  'Check that the database runs and can be reached from here.',
);
const denied = refusal('authentication-failed', false, 'Check user and password.');
const noHost = refusal('host-unknown', false, 'Check the spelling of the host.');
const noGrant = refusal('grant-missing', false, 'The account needs all privileges on this one database.');
const otherSchema = refusal('schema-mismatch', false, 'Name the database of an engine.');
const full = refusal('storage-failed', true, 'Make room on the disk of the database.');
const slow = refusal('timeout', true, 'Check the network and the load of the database.');
const tls = refusal('tls-failed', false, "Check the TLS mode, the CA file and the server's certificate.");

/** By Node's code, or by the server's number. */
const refusals: Record<string, Refusal> = {
  ENOTFOUND: noHost,
  EAI_NONAME: noHost,
  EAI_AGAIN: { ...noHost, retryable: true },
  ETIMEDOUT: slow,
  PROTOCOL_SEQUENCE_TIMEOUT: slow,
  HANDSHAKE_NO_SSL_SUPPORT: tls,
  HANDSHAKE_SSL_ERROR: tls,
  1021: full,
  1044: noGrant,
  1045: denied,
  1049: refusal('database-unknown', false, 'Check the name of the database, or create it.'),
  1053: unreachable,
  1054: otherSchema,
  1114: full,
  1130: denied,
  1040: refusal('unreachable', true, 'Raise max_connections or end idle connections.'),
  1142: noGrant,
  1143: noGrant,
  1146: otherSchema,
  1203: refusal('unreachable', true, 'Raise max_user_connections or end idle connections.'),
  1205: slow,
  1213: slow,
  1290: refusal('storage-failed', true, 'The server takes no writes now.'),
  1317: unreachable,
  1698: denied,
  1792: refusal('unauthorized', false, 'The connection is read-only.'),
  1927: unreachable,
  1969: refusal('budget-exceeded', true, 'Reads are asked less often until it is faster.'),
  3024: refusal('budget-exceeded', true, 'Reads are asked less often until it is faster.'),
  3118: denied,
  3159: tls,
};
const certificate =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|EPROTO)/;
/** Where the transaction was undone for the sake of another, and may be tried again at once. */
const lockTrouble: ReadonlySet<number> = new Set([1205, 1213]);

const fieldOf = (thrown: unknown, name: 'code' | 'errno'): unknown =>
  // Errors of Node and mysql2 carry these beside their message.
  thrown instanceof Error ? (thrown as Error & Record<typeof name, unknown>)[name] : undefined;

export function isLockTrouble(thrown: unknown): boolean {
  const number = fieldOf(thrown, 'errno');
  return typeof number === 'number' && lockTrouble.has(number);
}

/** A row with this key exists: somebody else was faster. */
export const isDuplicate = (thrown: unknown): boolean => fieldOf(thrown, 'errno') === 1062;

/** The connection is of no more use, whatever it was asked. */
export function isBroken(thrown: unknown): boolean {
  if (thrown instanceof HeadwayError) return false;
  const number = fieldOf(thrown, 'errno');
  // The server's own refusals are numbered from 1000; those of the system are negative.
  const isServers = typeof number === 'number' && number >= 1000;
  return !isServers || refusals[number]?.code === 'unreachable';
}

/** Any failure as a HeadwayError; `place` names the database and never a password. */
export function mysqlFailure(thrown: unknown, place: string): HeadwayError {
  if (thrown instanceof HeadwayError) return thrown;
  // Several addresses were tried: the first one's error says why.
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  const said = first instanceof Error ? first.message.replace(/\.\s*$/, '') : String(first);
  const code = fieldOf(first, 'code') ?? fieldOf(thrown, 'code');
  const number = fieldOf(first, 'errno');
  const known =
    refusals[String(number)] ??
    refusals[String(code)] ??
    (certificate.test(String(code)) ? tls : isBroken(first) ? unreachable : refusal('internal', false, ''));
  return new HeadwayError(known.code, `${place}: ${said}. ${known.advice}`.trim(), {
    retryable: known.retryable,
    cause: thrown,
  });
}
