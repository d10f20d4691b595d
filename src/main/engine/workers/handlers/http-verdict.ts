// What an answer over HTTP means for its job: success, or a failure with a class (incident 4).
import { STATUS_CODES } from 'node:http';
import type { ErrorClass } from '../../../../core/error-class.ts';
import { JobError } from '../handler.ts';
import type { Answer } from './http-call.ts';
import { allowanceUsedUp, retryAfterMs } from './retry-after.ts';

const LINE_CHARS = 200;
/** An allowance is used up, in the words of the services that we know of. */
const QUOTA_WORDS =
  /quota|billing|payment required|insufficient.{0,20}(funds|credit|balance)|(usage|spend|plan|monthly|daily).{0,20}limit/i;
/** Of 429: no short-lived limit, but an allowance. "Quota exceeded … per minute" is the former. */
const QUOTA_FOR_CERTAIN = /insufficient_quota|billing/i;

/** Null for success. `call` names it: "POST https://host/path". `hide` takes secrets out of a text. */
export function verdictOnAnswer(
  { status, headers, body }: Answer,
  call: string,
  hide: (text: string) => string,
  nowMs: number,
): JobError | null {
  if (status >= 200 && status < 300) return null;
  const errorClass = classOf({ status, headers, body });
  const afterMs = errorClass === 'permanent' ? null : retryAfterMs(headers, nowMs);
  const shown = hide(body);
  const line = shown.trim().split('\n')[0]?.trim().slice(0, LINE_CHARS) ?? '';
  const reason = STATUS_CODES[status];
  return new JobError(
    errorClass,
    `${call} answered ${status}${reason === undefined ? '' : ` ${reason}`}${line === '' ? '' : `: ${line}`}`,
    { ...(afterMs !== null && { retryAfterMs: afterMs }), ...(shown !== '' && { stderrTail: shown }) },
  );
}

function classOf({ status, headers, body }: Answer): ErrorClass {
  if (status === 429) return QUOTA_FOR_CERTAIN.test(body) ? 'quota' : 'rate-limit';
  if (status === 402 || status === 403)
    return QUOTA_WORDS.test(body) || allowanceUsedUp(headers) ? 'quota' : 'permanent';
  // Not ready, too early, and everything that is the server's own trouble: it may pass.
  if (status === 408 || status === 425 || status >= 500) return 'transient';
  return 'permanent';
}

/** Why no answer came: the host is named, and nothing of what was sent. */
export function verdictOnNetworkError(error: NodeJS.ErrnoException, call: string, host: string): JobError {
  const { code = '' } = error;
  // A header value that cannot be sent will not become one: the declaration or its secret is wrong.
  if (code === 'ERR_INVALID_CHAR' || code === 'ERR_UNESCAPED_CHARACTERS')
    return new JobError(
      'permanent',
      `${call} cannot be sent: a header holds a character that is not allowed`,
    );
  const words = NETWORK_WORDS[code] ?? `could not be reached (${code === '' ? error.message : code})`;
  return new JobError('transient', `${call} failed: ${host} ${words}`);
}

const NETWORK_WORDS: Record<string, string> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'broke off the connection',
  EPIPE: 'broke off the connection',
  ENOTFOUND: 'is not known to the name service',
  EAI_AGAIN: 'could not be looked up: the name service gave no answer',
  ETIMEDOUT: 'gave no answer to the connection',
  EHOSTUNREACH: 'could not be reached: there is no route to it',
  ENETUNREACH: 'could not be reached: there is no route to it',
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'has a certificate that nobody known has signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'has a certificate that nobody known has signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'has a certificate that nobody known has signed',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another name',
};
