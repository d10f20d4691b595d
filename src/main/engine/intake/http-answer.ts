// What a request is answered with, and how it gets to the client: at the client's own speed, for as long as it reads.
import type { ServerResponse } from 'node:http';
import { type ErrorCode, HeadwayError, toWireError } from '../../../contract/errors.ts';

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: string | Buffer;
}

export const json = (status: number, value: unknown, headers: Record<string, string> = {}): Answer => ({
  status,
  headers: { 'Content-Type': 'application/json; charset=utf-8', ...headers },
  body: `${JSON.stringify(value)}\n`,
});

/** A request that is not served, as the answer that says why. `close`: its connection is of no more use. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly answer: Answer;
  readonly close: boolean;

  constructor(
    status: number,
    error: HeadwayError,
    options: { headers?: Record<string, string>; close?: boolean } = {},
  ) {
    super(error.message, { cause: error });
    this.answer = json(status, { error: error.toWire() }, options.headers);
    this.close = options.close ?? false;
  }
}

/** 429: come again in a second. */
export function tooMuch(what: string, { close = false } = {}): Refusal {
  const error = new HeadwayError('budget-exceeded', `${what}; come again in a second.`, { retryable: true });
  return new Refusal(429, error, { headers: { 'Retry-After': '1' }, close });
}

const statuses: Partial<Record<ErrorCode, number>> = {
  'bad-request': 400,
  unauthorized: 401,
  'not-found': 404,
  conflict: 409,
  'budget-exceeded': 413,
  unreachable: 503,
  timeout: 503,
  'storage-failed': 503,
};

/** The answer to a request that failed; null for a bug, which the caller tells to its log. */
export function answerOfError(error: unknown): Answer | null {
  if (error instanceof Refusal) return error.answer;
  if (!(error instanceof HeadwayError)) return null;
  const status = statuses[error.code] ?? 500;
  return json(status, { error: toWireError(error) }, status === 503 ? { 'Retry-After': '5' } : {});
}

/** Larger answers go in pieces, each when the client has taken the one before (incident 2). */
const STREAMED_FROM_BYTES = 128 * 1024;
const PIECE_BYTES = 64 * 1024;

/**
 * Sends the answer; false when the client went away or had not taken it within `deadlineMs`, which ends its connection.
 * Never rejects.
 */
export async function send(
  response: ServerResponse,
  { status, headers = {}, body }: Answer,
  deadlineMs: number,
): Promise<boolean> {
  if (response.destroyed || response.headersSent) return false;
  const size = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  response.writeHead(status, { 'Cache-Control': 'no-store', ...headers, 'Content-Length': size });
  if (size < STREAMED_FROM_BYTES) {
    // Small enough for the system's own buffers; a dead client's connection is ended by its keep-alive timeout.
    response.end(body);
    return true;
  }
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const deadline = AbortSignal.timeout(deadlineMs);
  for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
    const piece = bytes.subarray(from, from + PIECE_BYTES);
    if (!response.write(piece) && !(await drained(response, deadline))) {
      response.destroy();
      return false;
    }
  }
  response.end();
  return await ended(response, deadline);
}

/** False when the connection closed or time was up before the client took what was written. */
function drained(response: ServerResponse, deadline: AbortSignal): Promise<boolean> {
  return happened(response, 'drain', deadline);
}

async function ended(response: ServerResponse, deadline: AbortSignal): Promise<boolean> {
  const finished = response.writableFinished || (await happened(response, 'finish', deadline));
  if (!finished) response.destroy();
  return finished;
}

function happened(
  response: ServerResponse,
  event: 'drain' | 'finish',
  deadline: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (yes: boolean) => () => {
      response.off(event, onEvent).off('close', onEnd);
      deadline.removeEventListener('abort', onEnd);
      resolve(yes);
    };
    const onEvent = settle(true);
    const onEnd = settle(false);
    if (response.destroyed || deadline.aborted) {
      resolve(false);
      return;
    }
    response.once(event, onEvent).once('close', onEnd);
    deadline.addEventListener('abort', onEnd, { once: true });
  });
}
