import { HeadwayError } from '../../../contract/errors.ts';

/**
 * A refusal of the engine or a store in the words of the sender: rows are counted from 1 here and from 0 there, and a
 * job that came alone is no row. Whatever else went wrong stays as it is.
 *
 * @param rowOf the sender's row of a position in the call; null for a job that came alone
 */
export function inSendersWords(error: unknown, rowOf: (position: number) => number | null): unknown {
  if (!(error instanceof HeadwayError)) return error;
  const named = /^(?:row|job) (\d+): /i.exec(error.message);
  if (!named) return error;
  const row = rowOf(Number(named[1]));
  const what = error.message
    .slice(named[0].length)
    .replace(/\brow (\d+)/g, (_, position: string) => `row ${rowOf(Number(position)) ?? position}`);
  // A kind that is not there is the sender's mistake, not a page that is missing.
  const code = error.code === 'not-found' ? 'bad-request' : error.code;
  const field = error.code === 'not-found' ? 'kind' : error.details?.['field'];
  return new HeadwayError(code, row === null ? what : `row ${row}: ${what}`, {
    retryable: error.retryable,
    cause: error,
    details: {
      ...(row === null ? {} : { row: String(row) }),
      ...(field === undefined ? {} : { field }),
    },
  });
}

/** A payload over its kind's limit, found before the engine looks, because HTTP has a status of its own for it. */
export class PayloadLimits {
  readonly #limits: ReadonlyMap<string, number>;

  /** Megabytes by kind. */
  constructor(limits: ReadonlyMap<string, number>) {
    this.#limits = limits;
  }

  /** Throws `budget-exceeded`. `longestBytes`: what the payload has at most, when that is known without measuring. */
  check(job: { kind: string; payload: unknown }, row: number | null, longestBytes: number): void {
    const limit = this.#limits.get(job.kind);
    if (limit === undefined || longestBytes <= limit * MEGABYTE) return;
    const bytes = Buffer.byteLength(JSON.stringify(job.payload));
    if (bytes <= limit * MEGABYTE) return;
    throw new HeadwayError(
      'budget-exceeded',
      `${row === null ? '' : `row ${row}: `}payload has ${(bytes / MEGABYTE).toFixed(1)} MB, kind ${job.kind} allows ${limit} MB`,
      { details: { ...(row === null ? {} : { row: String(row) }), field: 'payload' } },
    );
  }
}

const MEGABYTE = 2 ** 20;
