import { HeadwayError } from '../../../contract/errors.ts';
import type { JobKind } from '../../../contract/job-kinds.ts';
import type { EngineReport } from '../../../contract/engine-report.ts';
import type { EngineKind } from '../engine-parts.ts';
import { type Handler, JobError } from '../workers/handler.ts';

/**
 * A kind with the handler `pull` as the engine knows it: it checks such jobs at the door, counts and reports them, and
 * claims none, for a kind with no room is never asked for. Throws `settings-invalid` for limits that nobody would keep.
 */
export function pulledKind({ handler: _, ...policy }: JobKind): EngineKind {
  const { kind, rate, breaker, throttle } = policy;
  const unkept = Object.entries({ rate, breaker, throttle }).flatMap(([name, set]) => (set ? name : []));
  if (unkept.length > 0)
    throw new HeadwayError(
      'settings-invalid',
      `kind "${kind}": ${unkept.join(', ')} cannot be kept for jobs that other programs take; leave it out. ` +
        'concurrency, retry, timeouts.jobSeconds (the longest lease) and priority hold.',
    );
  return { policy: { ...policy, concurrency: 0 }, handler: nobody(kind) };
}

/** Runs nothing: with no room its kind is never claimed here. */
const nobody = (kind: string): Handler => ({
  kind,
  runsIn: 'http',
  run: () => Promise.reject(new JobError('permanent', `jobs of kind "${kind}" are taken by other programs`)),
});

/** The report with what only the desk knows of the kinds that are pulled. */
export function reportWithPulled(
  report: EngineReport,
  leasedOf: (kind: string) => number | null,
): EngineReport {
  const kinds = report.kinds.map((kind) => {
    const leased = leasedOf(kind.kind);
    return leased === null ? kind : { ...kind, running: leased, limit: null, heldBy: null };
  });
  return { ...report, kinds };
}
