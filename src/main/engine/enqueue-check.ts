// What may be enqueued: each row is checked and filled in from its kind before any of them reaches the store. Rows are
// counted from 0, as `dependsOn` counts them.
import { HeadwayError } from '../../contract/errors.ts';
import type { EngineKind } from './engine-parts.ts';
import type { NewJob } from './job.ts';

const LONGEST_ID = 255;
const MEGABYTE = 2 ** 20;
/** Kinds named in an error. */
const KINDS_SHOWN = 10;

export class EnqueueCheck {
  readonly #policies: ReadonlyMap<string, EngineKind['policy']>;

  constructor(kinds: readonly EngineKind[]) {
    this.#policies = new Map(kinds.map(({ policy }) => [policy.kind, policy]));
  }

  /** What the kind's jobs wait for, by kind. */
  parentsOf(kind: string): readonly string[] {
    return this.#policies.get(kind)?.dependsOn ?? [];
  }

  /** The row with what its kind says of it; or why it is refused: `not-found` for the kind, else `bad-request`. */
  row(job: NewJob, row: number, rows: number): NewJob | HeadwayError {
    const policy = this.#policies.get(job.kind);
    if (!policy) return refused(row, this.#unknown(job.kind), 'not-found');
    const wrong =
      wrongId('tenantId', job.tenantId) ?? wrongIn(job, row, rows) ?? wrongPayload(job.payload, policy);
    if (wrong !== null) return refused(row, wrong);
    return {
      ...job,
      priority: job.priority ?? policy.priority,
      maxAttempts: job.maxAttempts ?? policy.retry.maxAttempts,
      onDeadParent: job.onDeadParent ?? policy.onDeadParent,
    };
  }

  #unknown(kind: string): string {
    const known = [...this.#policies.keys()].sort();
    const shown = known.slice(0, KINDS_SHOWN).join(', ') + (known.length > KINDS_SHOWN ? ', …' : '');
    return `there is no kind "${kind.slice(0, LONGEST_ID)}"; this engine knows ${shown || 'none'}`;
  }
}

/** A refusal that names its row. */
export function refused(
  row: number,
  why: string,
  code: 'bad-request' | 'not-found' = 'bad-request',
): HeadwayError {
  return new HeadwayError(code, `Row ${row}: ${why}.`, { details: { row: String(row) } });
}

function wrongId(name: string, id: unknown): string | null {
  if (typeof id !== 'string' || id.length === 0 || id.length > LONGEST_ID)
    return `${name} must be a text of 1 to ${LONGEST_ID} characters`;
  // Databases keep neither; an id that changes on the way in is nobody's.
  return id.includes('\0') || !id.isWellFormed() ? `${name} holds characters that are no text` : null;
}

function wrongIn(job: NewJob, row: number, rows: number): string | null {
  const { idempotencyKey, batchId, priority, maxAttempts, readyAtMs } = job;
  if (idempotencyKey !== undefined) {
    const wrong = wrongId('idempotencyKey', idempotencyKey);
    if (wrong !== null) return wrong;
  }
  if (batchId !== undefined) {
    const wrong = wrongId('batchId', batchId);
    if (wrong !== null) return wrong;
  }
  if (priority !== undefined && !isInt(priority, -1_000, 1_000))
    return 'priority must be a whole number from -1000 to 1000';
  if (maxAttempts !== undefined && !isInt(maxAttempts, 1, 1_000))
    return 'maxAttempts must be a whole number from 1 to 1000';
  if (readyAtMs !== undefined && !Number.isFinite(readyAtMs)) return 'readyAtMs must be a time in epoch ms';
  for (const parent of job.dependsOn ?? []) {
    if ('row' in parent && parent.row === row) return 'it waits for itself';
    if ('row' in parent && !isInt(parent.row, 0, rows - 1))
      return `it waits for row ${parent.row}, which is not there`;
    if ('id' in parent && !Number.isSafeInteger(parent.id))
      return 'it waits for a job whose id is no whole number';
  }
  return null;
}

function wrongPayload(payload: unknown, { payloadLimitMegabytes }: EngineKind['policy']): string | null {
  let text: string | undefined;
  try {
    text = jsonOf(payload);
  } catch (error) {
    return `its payload is no JSON data: ${(error as Error).message.split('\n')[0] ?? ''}`;
  }
  if (text === undefined) return `its payload is no JSON data: ${typeof payload}`;
  const limitBytes = payloadLimitMegabytes * MEGABYTE;
  // No character takes more than three bytes for each of its units.
  if (3 * text.length <= limitBytes) return null;
  const bytes = Buffer.byteLength(text);
  if (bytes <= limitBytes) return null;
  return `its payload has ${Number((bytes / MEGABYTE).toPrecision(3))} MB, its kind allows ${payloadLimitMegabytes} MB`;
}

/** Undefined for what JSON has no word for. */
const jsonOf: (value: unknown) => string | undefined = JSON.stringify;

function isInt(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}
