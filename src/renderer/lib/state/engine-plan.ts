// What a change to an engine's jobs will do, said before it is done. Pure: the dialog shows it, EngineActions does it.
import type { Bulk, Hold } from '../../../contract/engine-report.ts';
import type { z } from 'zod';
import type { jobFilterSchema } from '../../../contract/engine-report.ts';
import type { Count } from '../../../core/count.ts';
import { formatCount } from '../../../core/duration.ts';
import { scopeWords } from '../format/engine-words.ts';

export type JobFilter = z.infer<typeof jobFilterSchema>;
export type HoldScope = Pick<Hold, 'tenantId' | 'kind'>;

export type EngineRequest =
  | { do: 'hold'; mode: Hold['mode']; scope: HoldScope }
  | { do: 'unhold'; scope: HoldScope }
  /** `count`: how many jobs the filter met when it was asked. */
  | { do: 'bulk'; what: Bulk['what']; filter: JobFilter; count: Count };

export interface EnginePlan {
  title: string;
  /** What will happen, a sentence each. */
  does: readonly string[];
  /** How it is undone, or that it is not. */
  undo: string;
  button: string;
  danger: boolean;
  /** What must be typed first; null when the button is enough. */
  typed: string | null;
  asksReason: boolean;
}

export interface PlanContext {
  /** The connection's safety level asks for the name with every change. */
  byName: boolean;
  /** A tenant as people call it. */
  nameOf: (tenantId: string) => string;
}

export function planOf(request: EngineRequest, context: PlanContext): EnginePlan {
  switch (request.do) {
    case 'hold':
      return holdPlan(request.mode, request.scope, context);
    case 'unhold': {
      const scope = scopeWords(request.scope, context.nameOf);
      return {
        title: `Resume ${scope}?`,
        does: [
          `Jobs of ${named(request.scope, context)} start again at once, those that have waited longest first.`,
        ],
        undo: 'Pause it again; what has started by then finishes.',
        button: 'Resume',
        danger: false,
        typed: context.byName ? typedOf(request.scope, context) : null,
        asksReason: false,
      };
    }
    case 'bulk':
      return bulkPlan(request, context);
  }
}

function holdPlan(mode: Hold['mode'], scope: HoldScope, context: PlanContext): EnginePlan {
  const jobs = scope.tenantId === null && scope.kind === null ? 'jobs' : `jobs of ${named(scope, context)}`;
  const pause = mode === 'pause';
  return {
    title: `${pause ? 'Pause' : 'Drain'} ${scopeWords(scope, context.nameOf)}?`,
    does: pause
      ? [
          `No more ${jobs} start, on any engine of this store.`,
          'What runs finishes. Nothing is lost: new jobs are taken and wait.',
        ]
      : [
          `New ${jobs} are refused: their senders get an error until it is resumed.`,
          'What is stored is worked off as before; jobs that failed are still tried again.',
        ],
    undo: 'Resume it, here or under “Held”.',
    button: pause ? 'Pause' : 'Drain',
    danger: !pause,
    typed: context.byName ? typedOf(scope, context) : null,
    asksReason: true,
  };
}

function bulkPlan(
  { what, filter, count }: Extract<EngineRequest, { do: 'bulk' }>,
  context: PlanContext,
): EnginePlan {
  const jobs = `${formatCount(count)} ${what === 'requeue' || what === 'discard' ? 'dead' : 'blocked'} ${count.value === 1 && count.kind === 'exact' ? 'job' : 'jobs'}`;
  const which = filterWords(filter, context);
  const more =
    'Jobs that come to fit while it runs are changed, too. It can be stopped; what is done by then stays done.';
  const single = filter.ids?.length === 1;
  const name = filter.kind ?? (filter.tenantId === undefined ? what : context.nameOf(filter.tenantId));
  const base = { asksReason: false, danger: false, typed: context.byName ? name : null };
  switch (what) {
    case 'requeue':
      return {
        ...base,
        title: `Requeue ${jobs}?`,
        does: [
          `${which} become ready again, their attempts counted anew; what waits for them waits again.`,
          'They run by the rules of their kind: if the cause is still there they come back here.',
          ...(single ? [] : [more]),
        ],
        undo: 'Not as such: pause the kind to keep them from starting.',
        button: 'Requeue',
      };
    case 'discard':
      return {
        ...base,
        title: `Discard ${jobs} for good?`,
        does: [
          `${which} are removed with their payloads and errors. Their work is never done.`,
          'What waits for them is treated as its kind says; blocked jobs stay blocked.',
          ...(single ? [] : [more]),
        ],
        undo: 'It cannot be undone.',
        button: 'Discard for good',
        danger: true,
        // Always asked: nothing else here destroys.
        typed: name,
      };
    case 'release':
      return {
        ...base,
        title: `Release ${jobs}?`,
        does: [
          `${which} no longer wait for the jobs that failed, and run without their results.`,
          ...(single ? [] : [more]),
        ],
        undo: 'Not once they have started.',
        button: 'Release',
      };
    case 'cancel':
      return {
        ...base,
        title: `Cancel ${jobs}?`,
        does: [
          `${which} go to the dead set without being tried, with what waits for them.`,
          ...(single ? [] : [more]),
        ],
        undo: 'Requeue them from the dead set.',
        button: 'Cancel the jobs',
        danger: true,
      };
  }
}

/** The jobs of a filter, to begin a sentence with. */
function filterWords({ tenantId, kind, cause, ids }: JobFilter, { nameOf }: PlanContext): string {
  if (ids !== undefined) return ids.length === 1 ? `Job ${ids[0] ?? ''}` : `The ${ids.length} jobs`;
  const scope = scopeWords({ tenantId, kind }, nameOf);
  const of = scope === 'everything' ? 'All of them' : `Those of ${scope}`;
  return cause === undefined ? of : `${of} that failed with “${cause}”`;
}

const named = (scope: HoldScope, { nameOf }: PlanContext): string => {
  const words = scopeWords(scope, nameOf);
  return words === 'everything' ? 'all kinds and tenants' : words;
};

const typedOf = ({ tenantId, kind }: HoldScope, { nameOf }: PlanContext): string =>
  tenantId === null ? (kind ?? 'everything') : nameOf(tenantId);
