import { HeadwayError } from '../../../contract/errors.ts';
import type { NewJob } from '../job.ts';
import { jobOfRow, jsonOfRow, rowError, type RowDefaults } from './job-row.ts';
import type { PayloadLimits } from './row-refusal.ts';

/** Rows that are enqueued all or none: one transaction, and all in memory at once. */
export const MOST_ROWS = 50_000;

export interface BatchRules {
  defaults: RowDefaults;
  /** One key for the request stands for one a row, so that a batch that is sent again enqueues nothing twice. */
  idempotencyKey: string | null;
  limits: PayloadLimits;
}

/** The jobs of NDJSON rows; throws `bad-request` that names the first bad one. Rows are counted from 1. */
export function jobsOfRows(rows: readonly string[], rules: BatchRules): NewJob[] {
  return rows.map((line, i) => jobOfLine(line, i + 1, rules));
}

/** The same with every row on its own: the job, or why it is none. `before`: rows of earlier pieces. */
export function eachJobOfRows(
  rows: readonly string[],
  rules: BatchRules,
  before = 0,
): (NewJob | HeadwayError)[] {
  return rows.map((line, i) => {
    const row = before + i + 1;
    try {
      const job = jobOfLine(line, row, rules);
      if (job.dependsOn?.some((parent) => 'row' in parent))
        throw rowError(row, 'dependsOn', 'names a row; rows that are answered one by one stand alone');
      return job;
    } catch (error) {
      if (error instanceof HeadwayError) return error;
      throw error;
    }
  });
}

/** The rows of a text; empty lines are none. */
export function rowsOfText(text: string): string[] {
  const rows = text.split('\n').filter((line) => line.trim() !== '');
  if (rows.length === 0) throw new HeadwayError('bad-request', 'the body has no rows');
  if (rows.length > MOST_ROWS)
    throw new HeadwayError(
      'budget-exceeded',
      `The body has ${rows.length} rows; at most ${MOST_ROWS} are enqueued at once.`,
    );
  return rows;
}

function jobOfLine(line: string, row: number, { defaults, idempotencyKey, limits }: BatchRules): NewJob {
  const job = jobOfRow(jsonOfRow(line, row), defaults, row);
  // No character of the text takes more than three bytes for each of its units.
  limits.check(job, row, 3 * line.length);
  if (idempotencyKey !== null) job.idempotencyKey ??= `${idempotencyKey}#${row}`;
  return job;
}
