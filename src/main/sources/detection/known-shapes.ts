// Tables of jobs that many programs share, known by their columns: what the table itself does not tell of them. Pure.
import { snakeCase, type JobState } from './state-words.ts';
import type { TableLook } from './table-look.ts';

export interface KnownShape {
  name: string;
  maxAttempts?: number;
  staleAfterSeconds?: number;
  /** Values that its programs write, whether or not a row has them now. */
  states?: Partial<Record<JobState, readonly string[]>>;
}

const shapes: readonly (KnownShape & { columns: readonly string[] })[] = [
  {
    // The table that Headway was made for: jobs by user and kind, three attempts, stale after ten minutes without a change.
    name: 'the audited table',
    columns: ['user_id', 'kind', 'payload', 'status', 'attempts', 'last_error', 'created_at', 'updated_at'],
    maxAttempts: 3,
    staleAfterSeconds: 600,
    states: {
      ready: ['queued'],
      running: ['processing'],
      held: ['paused'],
      dead: ['error'],
      done: ['done', 'cancelled'],
    },
  },
  {
    // Its settings: max_attempts 25, max_run_time 4 hours.
    name: 'delayed_job',
    columns: ['handler', 'attempts', 'last_error', 'run_at', 'locked_at', 'failed_at', 'locked_by'],
    maxAttempts: 25,
    staleAfterSeconds: 4 * 3600,
  },
  {
    // Its database queue hands a reserved job out again after retry_after, 90 seconds as shipped.
    name: "Laravel's jobs",
    columns: ['queue', 'payload', 'attempts', 'reserved_at', 'available_at', 'created_at'],
    staleAfterSeconds: 90,
  },
  {
    // Its jobs have maximum_retry_count 15; which of them run is told by advisory locks alone.
    name: 'Que',
    columns: ['job_class', 'error_count', 'last_error_message', 'run_at', 'expired_at', 'finished_at'],
    maxAttempts: 15,
  },
];

/** Null for a shape of its own. */
export function knownShape({ columns }: TableLook): KnownShape | null {
  const names = new Set(columns.map(({ name }) => snakeCase(name)));
  const state = columns.find(({ name }) => snakeCase(name) === 'status');
  return (
    shapes.find(
      (shape) =>
        shape.columns.every((name) => names.has(name)) &&
        // An enum or a check of its own names other values: then only the words are like.
        !(
          shape.states !== undefined &&
          state?.allowed?.every((value) =>
            Object.values(shape.states ?? {})
              .flat()
              .includes(value),
          ) === false
        ),
    ) ?? null
  );
}
