// What went wrong with an SSH connection, in our codes and with the next step.
import { HeadwayError } from '../../contract/errors.ts';

/** Whether the network, ssh2 or we foresaw it; anything else is a bug and must not pass for a bad connection. */
export function isFromOutside(error: unknown): error is Error {
  if (error instanceof HeadwayError) return true;
  return error instanceof Error && ('code' in error || 'level' in error || 'reason' in error);
}

export function loginRefused(target: string, tried: string[], accepted: string[]): HeadwayError {
  const accepts = accepted.length > 0 ? `; the server accepts ${accepted.join(', ')}` : '';
  return new HeadwayError(
    'authentication-failed',
    `${target} refused the login (tried ${tried.join(', ')}${accepts}). Check the user's name, and that the ` +
      `public key stands in the user's authorized_keys on the host.`,
    { details: { tried: tried.join(', '), accepted: accepted.join(', ') } },
  );
}

/** Turns what the network and ssh2 throw into our errors. */
export function explain(error: unknown, target: string): HeadwayError {
  if (error instanceof HeadwayError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  const level = 'level' in cause && typeof cause.level === 'string' ? cause.level : '';
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new HeadwayError(
        'host-unknown',
        `No address is known for the host of ${target}. Check the name, and that the VPN is up.`,
        { retryable: true, cause },
      );
    case 'ECONNREFUSED':
      return new HeadwayError(
        'unreachable',
        `Nothing listens at ${target}. Check the port, and that sshd runs there.`,
        { retryable: true, cause },
      );
    case 'ETIMEDOUT':
      return new HeadwayError('timeout', `${target} did not answer.`, { retryable: true, cause });
  }
  if (level === 'client-timeout') {
    return new HeadwayError('timeout', `${target} stopped answering.`, { retryable: true, cause });
  }
  return new HeadwayError('unreachable', `The connection to ${target} failed: ${cause.message}.`, {
    retryable: true,
    cause,
  });
}

/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED and SSH_OPEN_CONNECT_FAILED of RFC 4254, 5.1. */
const PROHIBITED = 1;
const CONNECT_FAILED = 2;

/** Why a hop did not open the way to the next host. */
export function forwardRefused(error: unknown, hop: string, next: string): HeadwayError {
  if (error instanceof HeadwayError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const reason = 'reason' in cause ? cause.reason : null;
  if (reason === PROHIBITED) {
    return new HeadwayError(
      'unreachable',
      `The hop ${hop} does not forward to ${next}: its sshd forbids it (AllowTcpForwarding, PermitOpen).`,
      { cause },
    );
  }
  const why = cause.message.replace(/^\(SSH\) Channel open failure: /, '');
  return new HeadwayError(
    'unreachable',
    reason === CONNECT_FAILED
      ? `The hop ${hop} does not reach ${next}: ${why}. Check the name and the port as that hop sees them.`
      : `The hop ${hop} did not open the way to ${next}: ${why}.`,
    { retryable: true, cause },
  );
}
