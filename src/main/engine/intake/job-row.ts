// The intake: how other programs hand jobs to an engine, take them from it and ask how it is. This file: a job as
// they write it, one row of NDJSON or one JSON body; the command line and the HTTP face read it alike.
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import { kindNameSchema } from '../../../contract/job-kinds.ts';
import type { NewJob } from '../job.ts';

/** Names a tenant, a batch or a key; longer ones would not fit the stores' indexes. */
const nameSchema = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => name.isWellFormed() && !name.includes('\0'), 'it holds characters that are no text');

export const jobRowSchema = z.strictObject({
  kind: kindNameSchema.optional(),
  tenant: nameSchema.optional(),
  /** Any JSON, null too; it must be there. */
  payload: z.unknown(),
  priority: z.int().min(-1000).max(1000).optional(),
  /** Not before: ISO 8601 with its offset. */
  at: z.iso.datetime({ offset: true, error: 'use ISO 8601 with an offset: 2026-03-01T09:00:00Z' }).optional(),
  maxAttempts: z.int().min(1).max(1000).optional(),
  key: nameSchema.optional(),
  batch: nameSchema.optional(),
  /** What must be done before: `row` counts the rows of the same request from 1 and lies above this one. */
  dependsOn: z
    .array(z.union([z.strictObject({ row: z.int().min(1) }), z.strictObject({ id: z.int().min(1) })]))
    .max(1000)
    .optional(),
  onDeadParent: z.enum(['block', 'cancel', 'release']).optional(),
});

/** What holds for rows that do not say it themselves. */
export interface RowDefaults {
  kind?: string | undefined;
  tenant?: string | undefined;
  batch?: string | undefined;
  priority?: number | undefined;
  atMs?: number | undefined;
}

/** The job that a parsed row stands for. Rejects with `bad-request`; `details` names the field, and the row where given. */
export function jobOfRow(value: unknown, defaults: RowDefaults = {}, row: number | null = null): NewJob {
  const parsed = jobRowSchema.safeParse(value);
  if (!parsed.success) throw rowError(row, ...issueOf(parsed.error.issues));
  const { kind = defaults.kind, tenant = defaults.tenant, payload, at, dependsOn, ...rest } = parsed.data;
  if (kind === undefined) throw rowError(row, 'kind', 'is missing');
  if (tenant === undefined) throw rowError(row, 'tenant', 'is missing');
  const job: NewJob = { tenantId: tenant, kind, payload };
  const { priority = defaults.priority, batch = defaults.batch, key, maxAttempts, onDeadParent } = rest;
  const readyAtMs = at === undefined ? defaults.atMs : Date.parse(at);
  if (priority !== undefined) job.priority = priority;
  if (readyAtMs !== undefined) job.readyAtMs = readyAtMs;
  if (maxAttempts !== undefined) job.maxAttempts = maxAttempts;
  if (key !== undefined) job.idempotencyKey = key;
  if (batch !== undefined) job.batchId = batch;
  if (onDeadParent !== undefined) job.onDeadParent = onDeadParent;
  if (dependsOn !== undefined)
    job.dependsOn = dependsOn.map((parent) => {
      if ('id' in parent) return parent;
      if (row === null) throw rowError(row, 'dependsOn', 'a job that comes alone has no rows above it');
      if (parent.row >= row) throw rowError(row, 'dependsOn', `row ${parent.row} does not lie above it`);
      return { row: parent.row - 1 };
    });
  return job;
}

/** The row's JSON; `bad-request` that says where it breaks off. */
export function jsonOfRow(text: string, row: number | null = null): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // V8 quotes what it read; a payload has no business in a log.
    const where = /position \d+(?: \(line \d+ column \d+\))?/.exec(String(error))?.[0];
    throw rowError(row, null, `is no JSON${where === undefined ? '' : `: it breaks off at ${where}`}`, error);
  }
}

/** `row 3: payload is missing`; without a row and a field only what is wrong. */
export function rowError(
  row: number | null,
  field: string | null,
  what: string,
  cause?: unknown,
): HeadwayError {
  const where = row === null ? '' : `row ${row}: `;
  const subject = field ?? (row === null ? 'the body' : 'it');
  return new HeadwayError('bad-request', `${where}${subject} ${what}`, {
    cause,
    details: {
      ...(row === null ? {} : { row: String(row) }),
      ...(field === null ? {} : { field }),
    },
  });
}

function issueOf(issues: readonly z.core.$ZodIssue[]): [field: string | null, what: string] {
  const issue = issues[0];
  if (issue === undefined) return [null, 'cannot be read'];
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys')
    return [[...path, issue.keys[0] ?? ''].join('.'), 'is not known here'];
  const what = issue.message.endsWith('received undefined')
    ? 'is missing'
    : `cannot be used: ${issue.message}`;
  return [path.length === 0 ? null : path.join('.'), what];
}
