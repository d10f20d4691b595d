// Failures that are expected: each has a code, says what, where and what to do, and travels as plain data.
//
// Without a schema library, so that a command of the shell that reads no settings begins at once; the schemas are in errors.ts.

export const errorCodes = [
  'bad-request',
  'not-found',
  'conflict',
  'unauthorized',
  'settings-invalid',
  'secret-missing',
  'host-unknown',
  'unreachable',
  'timeout',
  'authentication-failed',
  'database-unknown',
  'schema-mismatch',
  'grant-missing',
  'tls-failed',
  'host-key-unknown',
  'host-key-changed',
  'file-missing',
  'command-failed',
  'budget-exceeded',
  'cancelled',
  'storage-failed',
  'internal',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** A failure as it travels. */
export interface WireError {
  code: ErrorCode;
  /** What went wrong, where, and the next step, in words an engineer reads at night. */
  message: string;
  retryable: boolean;
  details?: Record<string, string> | undefined;
}

/** An expected failure. `message` names the thing and the next step; it must never hold a secret. */
export class HeadwayError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly details: Record<string, string> | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { retryable?: boolean; details?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'HeadwayError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details;
  }

  toWire(): WireError {
    const { code, message, retryable, details } = this;
    return details === undefined ? { code, message, retryable } : { code, message, retryable, details };
  }
}

/** Any thrown value as plain data; what is not a HeadwayError is a bug and says so without its stack. */
export function toWireError(thrown: unknown): WireError {
  if (thrown instanceof HeadwayError) return thrown.toWire();
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: 'internal', message: `Internal error: ${message}`, retryable: false };
}
