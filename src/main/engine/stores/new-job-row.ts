// A job on its way into a store: what can be judged of it without looking at the store, and how refusals are worded.
import { HeadwayError } from '../../../contract/errors.ts';
import type { NewJob } from '../job.ts';
import { DEFAULT_MAX_ATTEMPTS } from './store.ts';

export interface NewJobRow {
  tenantId: string;
  kind: string;
  /** JSON text. */
  payload: string;
  priority: number;
  createdAtMs: number;
  /** Not before `createdAtMs`. */
  readyAtMs: number;
  maxAttempts: number;
  idempotencyKey: string | null;
  batchId: string | null;
  /** Earlier rows of the call. */
  parentRows: readonly number[];
  parentIds: readonly number[];
  onDeadParent: NonNullable<NewJob['onDeadParent']>;
}

const NONE: readonly number[] = [];

/** Throws `bad-request` that names the row: a payload that is no JSON data, a row that waits for itself or a later one. */
export function newJobRow(job: NewJob, row: number, nowMs: number): NewJobRow {
  const createdAtMs = Math.floor(nowMs);
  let parentRows = NONE;
  let parentIds = NONE;
  if (job.dependsOn !== undefined) {
    parentRows = job.dependsOn.flatMap((parent) => ('row' in parent ? [parent.row] : []));
    parentIds = job.dependsOn.flatMap((parent) => ('id' in parent ? [parent.id] : []));
    for (const parent of parentRows)
      if (!Number.isInteger(parent) || parent < 0 || parent >= row)
        throw refused(row, `it waits for row ${parent}, which is no earlier row of the batch`);
  }
  return {
    tenantId: job.tenantId,
    kind: job.kind,
    payload: jsonText(job.payload, row),
    priority: job.priority ?? 0,
    createdAtMs,
    readyAtMs: job.readyAtMs === undefined ? createdAtMs : Math.max(createdAtMs, Math.ceil(job.readyAtMs)),
    maxAttempts: job.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
    idempotencyKey: job.idempotencyKey ?? null,
    batchId: job.batchId ?? null,
    parentRows,
    parentIds,
    onDeadParent: job.onDeadParent ?? 'block',
  };
}

function jsonText(payload: unknown, row: number): string {
  let text: string | undefined;
  let cause: unknown;
  try {
    // JSON.stringify answers undefined for what JSON cannot say, whatever its type tells.
    text = JSON.stringify(payload);
  } catch (error) {
    // A circle, a bigint, a toJSON that throws.
    cause = error;
  }
  if (text === undefined) throw refused(row, 'its payload is not JSON data', cause);
  return text;
}

/** A row that cannot be enqueued, and so the whole call. */
export function refused(row: number, why: string, cause?: unknown): HeadwayError {
  return new HeadwayError('bad-request', `Row ${row} of the batch: ${why}; nothing was enqueued.`, { cause });
}

/** `parent`: "job 12", "row 3". */
export function parentIsDead(row: number, parent: string): HeadwayError {
  return refused(
    row,
    `it waits for ${parent}, which is in the dead set (requeue that one first, or choose onDeadParent cancel or release)`,
  );
}

/** A row whose tenant or kind takes nothing new. */
export function drained(row: number, job: { tenantId: string; kind: string }): HeadwayError {
  return new HeadwayError(
    'conflict',
    `Row ${row} of the batch: tenant "${job.tenantId}", kind "${job.kind}" is being drained and takes no new jobs; ` +
      'nothing was enqueued. Resume it first.',
    { retryable: true },
  );
}
