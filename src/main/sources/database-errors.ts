// What databases and the network say when they refuse, in the words and codes of Headway: the part that all systems share.
import { HeadwayError } from '../../contract/errors.ts';
import type { ErrorCode } from '../../contract/errors.ts';

/** Where a session leads: what every message names. Never holds the password. */
export interface DatabaseAddress {
  host: string;
  port: number;
  user: string;
  database: string;
}

export interface Refusal {
  code: ErrorCode;
  retryable: boolean;
  message: (at: DatabaseAddress, said: string) => string;
}

export const place = (at: DatabaseAddress) => `${at.host}:${at.port}`;
export const refusal = (code: ErrorCode, retryable: boolean, message: Refusal['message']): Refusal => ({
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
export const lost = refusal(
  'unreachable',
  true,
  (at, said) => `The connection to ${place(at)} was lost: ${said}. The next poll connects anew.`,
);
export const full = refusal(
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
export const denied = refusal(
  'authentication-failed',
  false,
  (at, said) =>
    `${place(at)} refuses user ${at.user}: ${said}. Check user and password, and from which hosts and with which TLS the account may connect.`,
);
export const overBudget = refusal(
  'budget-exceeded',
  true,
  (at, said) =>
    `A read on ${place(at)} took longer than its budget and was stopped: ${said}. Headway polls less often until it is faster.`,
);
export const tlsFailed = refusal(
  'tls-failed',
  false,
  (at, said) =>
    `No TLS with ${place(at)}: ${said}. Check the connection's TLS mode, its CA file and the certificate of the server.`,
);
/** By `code` of Node's errors. */
export const networkRefusals: Readonly<Record<string, Refusal>> = {
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
};

/** Failures of certificates, as OpenSSL and Node name them. */
const certificate =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|EPROTO)/;

/**
 * Any failure of a session as a HeadwayError, by its code. What is not known keeps the server's words, as `internal`; `broken` says
 * that the connection is gone in any case.
 */
export function databaseFailure(
  thrown: unknown,
  at: DatabaseAddress,
  { code, refusals, broken }: { code: string; refusals: Readonly<Record<string, Refusal>>; broken: boolean },
): HeadwayError {
  if (thrown instanceof HeadwayError) return thrown;
  const said = sayWithoutPeriod(thrown);
  const known =
    refusals[code] ??
    networkRefusals[code] ??
    (certificate.test(code) ? tlsFailed : broken ? lost : undefined);
  if (known !== undefined) {
    return new HeadwayError(known.code, known.message(at, said), {
      retryable: known.retryable,
      cause: thrown,
    });
  }
  return new HeadwayError('internal', `${place(at)}, database ${at.database}: ${said}.`, {
    retryable: true,
    cause: thrown,
  });
}

/** The failure of a call that its caller or its time limit ended. */
export function abortFailure(signal: AbortSignal, at: DatabaseAddress): HeadwayError {
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
