// What went wrong with an SSH connection, in our codes and with the next step.
import { HeadwayError } from '../../contract/errors.ts';
import type { SshAlias } from './ssh-alias.ts';

/** Whether the network, ssh2 or we foresaw it; anything else is a bug and must not pass for a bad connection. */
export function isFromOutside(error: unknown): error is Error {
  if (error instanceof HeadwayError) return true;
  return error instanceof Error && ('code' in error || 'level' in error);
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

/** Where the SSH config would have gone another way; empty when it would not. */
export function proxyHint(alias: SshAlias | null): string {
  if (alias?.proxy == null) return '';
  return ` The SSH config sends this host through ${alias.proxy}, which Headway cannot do yet: open a tunnel and name its end.`;
}

/** Turns what the network and ssh2 throw into our errors. */
export function explain(error: unknown, target: string, alias: SshAlias | null): HeadwayError {
  if (error instanceof HeadwayError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  const level = 'level' in cause && typeof cause.level === 'string' ? cause.level : '';
  const more = proxyHint(alias);
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new HeadwayError(
        'host-unknown',
        `No address is known for the host of ${target}. Check the name, and that the VPN is up.${more}`,
        { retryable: true, cause },
      );
    case 'ECONNREFUSED':
      return new HeadwayError(
        'unreachable',
        `Nothing listens at ${target}. Check the port, and that sshd runs there.${more}`,
        { retryable: true, cause },
      );
    case 'ETIMEDOUT':
      return new HeadwayError('timeout', `${target} did not answer.${more}`, { retryable: true, cause });
  }
  if (level === 'client-timeout') {
    return new HeadwayError('timeout', `${target} stopped answering.`, { retryable: true, cause });
  }
  return new HeadwayError('unreachable', `The connection to ${target} failed: ${cause.message}.${more}`, {
    retryable: true,
    cause,
  });
}
