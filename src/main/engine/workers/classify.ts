// What kind of failure a handler's error is. Handlers that know say so with a JobError; for the rest the conventions of
// Node, fetch and the HTTP clients decide (incident 4: every error was treated alike).
import type { ErrorClass } from '../../../core/error-class.ts';
import { causeOf } from '../../../core/failure-cause.ts';
import type { Failure } from '../job.ts';
import { JobError } from './handler.ts';

export interface JudgedFailure {
  failure: Failure;
  /** The other side said when to come again; ms from now. */
  retryAfterMs: number | null;
}

/** Longer messages are cut: they are kept with every failed attempt. */
const MESSAGE_LIMIT = 2_000;

/** Error codes of Node (errno, DNS, streams), undici and TLS that mean "too late". */
const timeoutCodes = new Set([
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'ERR_SOCKET_CONNECTION_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
]);
/** Those that no second try will cure. */
const permanentCodes = new Set([
  'ENOEXEC',
  'ERR_INVALID_URL',
  'ERR_INVALID_ARG_TYPE',
  'ERR_INVALID_ARG_VALUE',
  'ERR_MODULE_NOT_FOUND',
  'ERR_UNSUPPORTED_ESM_URL_SCHEME',
]);

/** Says 402, 403 or 429 because an allowance is used up, not because of who asks or how fast. */
const quotaWords = /quota|billing|credit|insufficient[_ ]funds|(usage|spend(ing)?|monthly|daily) limit/i;

/** The failure of an attempt, whatever its handler threw. */
export function failureOf(thrown: unknown): JudgedFailure {
  if (thrown instanceof JobError) {
    return judged(thrown.class, thrown.message, thrown.retryAfterMs, thrown.stderrTail);
  }
  const message = messageOf(thrown);
  const status = statusOf(thrown);
  if (status !== null) return judged(classOfStatus(status, message), message, retryAfterOf(thrown));
  return judged(classOf(thrown), message, null);
}

function judged(
  errorClass: ErrorClass,
  message: string,
  retryAfterMs: number | null,
  stderrTail: string | null = null,
): JudgedFailure {
  const kept =
    message.length > MESSAGE_LIMIT
      ? `${message.slice(0, MESSAGE_LIMIT)}… (${message.length} characters)`
      : message;
  return { failure: { class: errorClass, message: kept, cause: causeOf(kept), stderrTail }, retryAfterMs };
}

/** fetch says only "fetch failed"; why stands in its cause. */
function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return typeof thrown === 'string' ? thrown : `threw ${describe(thrown)}`;
  const message = thrown.message === '' ? thrown.name : thrown.message;
  const { cause } = thrown;
  const why = cause instanceof Error ? cause.message || codeOf(cause) : null;
  return why && !message.includes(why) ? `${message}: ${why}` : message;
}

function describe(thrown: unknown): string {
  try {
    return jsonOf(thrown) ?? typeof thrown;
  } catch {
    return typeof thrown;
  }
}

/** Undefined for what JSON has no word for. */
const jsonOf: (value: unknown) => string | undefined = JSON.stringify;

function classOf(thrown: unknown): ErrorClass {
  // Codes lie on the error itself or, with fetch, on its cause; a circle of causes ends after a few steps.
  let error: unknown = thrown;
  for (let depth = 0; depth < 5 && error instanceof Error; depth++) {
    if (error.name === 'TimeoutError' || error.name === 'AbortError') return 'timeout';
    const code = codeOf(error);
    if (code !== null && timeoutCodes.has(code)) return 'timeout';
    if (code !== null && permanentCodes.has(code)) return 'permanent';
    error = error.cause;
  }
  // A mistake in the handler's code or its payload fails the same way each time.
  if (thrown instanceof SyntaxError || thrown instanceof ReferenceError) return 'permanent';
  return 'transient';
}

function classOfStatus(status: number, message: string): ErrorClass {
  if ((status === 402 || status === 403 || status === 429) && quotaWords.test(message)) return 'quota';
  if (status === 402) return 'quota';
  if (status === 429) return 'rate-limit';
  if (status === 408 || status === 504) return 'timeout';
  // 423 Locked, 425 Too Early, 409 Conflict: somebody else was there, which passes.
  if (status === 409 || status === 423 || status === 425) return 'transient';
  return status >= 400 && status < 500 ? 'permanent' : 'transient';
}

/** `status` or `statusCode` as HTTP clients put it on their errors, or on the error's `response`. */
function statusOf(thrown: unknown): number | null {
  for (const holder of [thrown, field(thrown, 'response')]) {
    for (const name of ['status', 'statusCode']) {
      const value = field(holder, name);
      if (typeof value === 'number' && value >= 400 && value <= 599) return value;
    }
  }
  return null;
}

/** The header by its rule (seconds or a date is the sender's choice; only seconds need no clock), or `retryAfterMs`. */
function retryAfterOf(thrown: unknown): number | null {
  const ms = field(thrown, 'retryAfterMs');
  if (typeof ms === 'number' && ms >= 0) return ms;
  for (const holder of [thrown, field(thrown, 'response')]) {
    const headers = field(holder, 'headers');
    const value = headers instanceof Headers ? headers.get('retry-after') : field(headers, 'retry-after');
    const seconds = Number(value ?? Number.NaN);
    if (Number.isFinite(seconds) && seconds >= 0) return seconds * 1_000;
  }
  return null;
}

function codeOf(error: Error): string | null {
  const code = field(error, 'code');
  return typeof code === 'string' ? code : null;
}

function field(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? (Reflect.get(of, name) as unknown) : undefined;
}
