// Rows as they leave for a spreadsheet or a script: CSV and JSON.
import type { QueueJob, QueueLock } from '../../../contract/queue-jobs.ts';

type Cell = string | number | boolean | null;
export type CopiedRow = Readonly<Record<string, Cell>>;

/** RFC 4180, with a heading; the columns are those of the first row. */
export function asCsv(rows: readonly CopiedRow[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const lines = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? null))];
  return lines.map((cells) => cells.map(cell).join(',') + '\r\n').join('');
}

export const asJson = (rows: unknown): string => `${JSON.stringify(rows, null, 2)}\n`;

function cell(value: Cell): string {
  if (value === null) return '';
  if (typeof value !== 'string') return String(value);
  // What a job's error begins with is not for a spreadsheet to calculate.
  const plain = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

const moment = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

/** A job in plain columns, its times in UTC. */
export const copiedJob = (job: QueueJob): CopiedRow => ({
  id: job.id,
  tenant: job.tenantId,
  kind: job.kind,
  state: job.state,
  state_word: job.stateWord,
  created_at: moment(job.createdAtMs),
  ready_at: moment(job.readyAtMs),
  started_at: moment(job.startedAtMs),
  finished_at: moment(job.finishedAtMs),
  attempts: job.attempts,
  max_attempts: job.maxAttempts,
  priority: job.priority,
  owner: job.owner,
  stale: job.stale,
  error: job.error,
});

export const copiedLock = (lock: QueueLock): CopiedRow => ({
  job: lock.jobId,
  tenant: lock.tenantId,
  owner: lock.owner,
  locked_at: moment(lock.lockedAtMs),
  expires_at: moment(lock.expiresAtMs),
  beat_at: moment(lock.beatAtMs),
  stale: lock.stale,
});
