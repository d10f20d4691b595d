import { HeadwayError } from '../../../contract/errors.ts';
import type { NewJob } from '../job.ts';
import { jobOfRow, jsonOfRow, rowError, type RowDefaults } from './job-row.ts';

/** Rows that are enqueued all or none: one transaction, and all in memory at once. */
export const MOST_ROWS = 50_000;

/** The jobs of NDJSON text; `bad-request` that names the first bad row. Rows are counted from 1, empty lines are not. */
export function jobsOfText(text: string, defaults: RowDefaults, idempotencyKey: string | null): NewJob[] {
  return rowsOf(text).map((line, i) => jobOfLine(line, i + 1, defaults, idempotencyKey));
}

/** The same with every row on its own: the job, or why it is none. */
export function eachJobOfText(
  text: string,
  defaults: RowDefaults,
  idempotencyKey: string | null,
): (NewJob | HeadwayError)[] {
  return rowsOf(text).map((line, i) => {
    try {
      const job = jobOfLine(line, i + 1, defaults, idempotencyKey);
      if (job.dependsOn?.some((parent) => 'row' in parent))
        throw rowError(i + 1, 'dependsOn', 'names a row, and with each=true every row stands alone');
      return job;
    } catch (error) {
      if (error instanceof HeadwayError) return error;
      throw error;
    }
  });
}

function rowsOf(text: string): string[] {
  const rows = text.split('\n').filter((line) => line.trim() !== '');
  if (rows.length === 0) throw new HeadwayError('bad-request', 'the body has no rows');
  if (rows.length > MOST_ROWS)
    throw new HeadwayError(
      'budget-exceeded',
      `The body has ${rows.length} rows; at most ${MOST_ROWS} are enqueued at once.`,
    );
  return rows;
}

/** One key for the request stands for one a row, so that a batch that is sent again enqueues nothing twice. */
function jobOfLine(line: string, row: number, defaults: RowDefaults, idempotencyKey: string | null): NewJob {
  const job = jobOfRow(jsonOfRow(line, row), defaults, row);
  if (idempotencyKey !== null) job.idempotencyKey ??= `${idempotencyKey}#${row}`;
  return job;
}
