// Why a tenant is late: the first cause that holds is the headline, the others that hold are listed.
import { z } from 'zod';
import type { Count } from './count.ts';
import { formatCount, formatDuration, formatPercent } from './duration.ts';
import type { FairShare } from './fair-share.ts';
import type { TenantStatus } from './status.ts';

/** In the order in which they are looked for. */
export const causeKindSchema = z.enum([
  'unreachable',
  'paused',
  'no-worker',
  'database-blocked',
  'stale-locks',
  'behind-neighbour',
  'workers-saturated',
  'slow-stage',
  'over-capacity',
  'unclear',
]);
type CauseKind = z.infer<typeof causeKindSchema>;

export const causeSchema = z.object({
  kind: causeKindSchema,
  /** The headline, short enough for a cell: "behind edify (97 % of 9,812)". */
  text: z.string(),
  /** What was measured that says so. */
  evidence: z.array(z.string()),
  /** Headlines of the other causes that hold. */
  also: z.array(z.string()),
});
/** Why a tenant is late: the headline, its evidence, and the other causes that hold. */
export type Cause = z.infer<typeof causeSchema>;

/** Everything a cause is judged by. What is null is not known, and gives no cause. */
export interface CauseFacts {
  status: TenantStatus;
  lagMs: number | null;
  /** The lag that is still all right, ms. */
  allowedLagMs: number;
  /** For how long the connection has been unreachable, ms; null while it is reachable. */
  unreachableMs: number | null;
  paused: { by: string; reason: string } | null;
  workers: {
    /** For how long they have owed a sign, ms (WorkerWatch.silentMs). */
    silentMs: number;
    /** Age of the newest sign of any worker, ms; null when none was ever seen. */
    lastSeenMs: number | null;
    /** Silence for longer than this means that there is no worker, ms: the window. */
    patienceMs: number;
    /** Busy / available worker time over the window, 0 to 1. */
    utilisation: number | null;
  };
  /** What blocks the database, in words ("12 lock waits", "connections exhausted"). */
  databaseBlocked: string | null;
  /** Jobs with stale locks that stand at the head of the queue. */
  staleAtHead: number;
  behind: {
    ahead: Count;
    tenants: { tenantId: string; name: string; share: number }[];
    /** The order assumed, in words. */
    claimOrder: string;
  } | null;
  /** This tenant's part of the starts in the window, and every tenant's by id (fairShares). */
  tenantId: string;
  shares: ReadonlyMap<string, FairShare> | null;
  /** The stages of the timing window with their baseline of the same hour. */
  stages: readonly { stage: string; p95Ms: number | null; baselineP95Ms: number | null; count: number }[];
  arrivalsPerS: number | null;
  attemptsPerS: number | null;
}

/** Utilisation over which the workers are the bottleneck. */
const SATURATED = 0.9;
/** A stage is slow at this many times its baseline, judged over at least SLOW_FROM jobs. */
const SLOW_TIMES = 3;
const SLOW_FROM = 20;
/** A neighbour in front owns at least this share of what is ahead. */
const NEIGHBOUR_OWNS = 0.5;
/** A tenant is pushed aside when it gets less than this part of its fair share. */
const PUSHED_ASIDE = 0.5;
/** Arrivals are over capacity at this many times what is finished: less is noise of counting. */
const OVER_TIMES = 1.1;

interface Finding {
  text: string;
  evidence: string[];
}

/** The cause of a tenant's lateness; null when it is not late, stopped, stalled or stuck. */
export function causeOfLateness(facts: CauseFacts): Cause | null {
  if (!needsCause(facts)) return null;
  const holding = causeKindSchema.options.flatMap((kind) => {
    const finding = findings[kind](facts);
    return finding === null ? [] : [{ kind, ...finding }];
  });
  const [first, ...others] = holding;
  if (first === undefined) return { kind: 'unclear', ...unclear(facts), also: [] };
  return { ...first, also: others.map((other) => other.text) };
}

function needsCause({ status, lagMs, allowedLagMs }: CauseFacts): boolean {
  return (lagMs !== null && lagMs > allowedLagMs) || ['stopped', 'stalled', 'stuck'].includes(status);
}

/** One judgement a kind: what was found, or null when the cause does not hold. */
const findings: Record<CauseKind, (facts: CauseFacts) => Finding | null> = {
  unreachable: ({ unreachableMs }) =>
    unreachableMs === null
      ? null
      : { text: 'connection unreachable', evidence: [`no answer for ${formatDuration(unreachableMs)}`] },

  paused: ({ paused }) => {
    if (paused === null) return null;
    return { text: `paused by ${paused.by}`, evidence: paused.reason === '' ? [] : [paused.reason] };
  },

  'no-worker': ({ workers: { silentMs, lastSeenMs, patienceMs } }) => {
    if (silentMs <= patienceMs) return null;
    const evidence = [`work has waited ${formatDuration(silentMs)} without a claim, a finish or a heartbeat`];
    return {
      text: lastSeenMs === null ? 'no worker seen' : `no worker seen for ${formatDuration(lastSeenMs)}`,
      evidence,
    };
  },

  'database-blocked': ({ databaseBlocked }) =>
    databaseBlocked === null ? null : { text: 'database blocked', evidence: [databaseBlocked] },

  'stale-locks': ({ staleAtHead }) => {
    if (staleAtHead === 0) return null;
    return {
      text: `stale locks at the head (${staleAtHead})`,
      evidence: ['their workers no longer work on them'],
    };
  },

  'behind-neighbour': behindNeighbour,

  'workers-saturated': ({ workers: { utilisation } }) => {
    if (utilisation === null || utilisation <= SATURATED) return null;
    return {
      text: `workers ${formatPercent(utilisation)} busy`,
      evidence: ['every worker is busy most of the time'],
    };
  },

  'slow-stage': slowStage,

  'over-capacity': ({ arrivalsPerS, attemptsPerS }) => {
    if (arrivalsPerS === null || attemptsPerS === null || arrivalsPerS <= OVER_TIMES * attemptsPerS)
      return null;
    const rates = `${perMinute(arrivalsPerS)} in, ${perMinute(attemptsPerS)} out`;
    return { text: 'arrivals over capacity', evidence: [rates] };
  },

  unclear: () => null,
};

/** The neighbour who owns most of what is ahead took more than its fair share, and this tenant lost by it. */
function behindNeighbour({ tenantId, behind, shares }: CauseFacts): Finding | null {
  const neighbour = behind?.tenants.find((owner) => owner.tenantId !== tenantId);
  if (!behind || neighbour === undefined || neighbour.share < NEIGHBOUR_OWNS) return null;
  const text = `behind ${neighbour.name} (${formatPercent(neighbour.share)} of ${formatCount(behind.ahead)})`;
  const evidence = [`${formatCount(behind.ahead)} ready jobs are claimed first (${behind.claimOrder})`];
  // Where starts are not counted, the place in the queue alone is the evidence.
  if (shares === null) return { text, evidence };
  const own = shares.get(tenantId);
  const theirs = shares.get(neighbour.tenantId);
  if (own === undefined || theirs === undefined) return null;
  if (theirs.share <= theirs.fairShare || own.share >= PUSHED_ASIDE * own.fairShare) return null;
  const took = ({ share, fairShare }: FairShare) =>
    `${formatPercent(share)} of the starts, fair: ${formatPercent(fairShare)}`;
  evidence.push(`${neighbour.name} took ${took(theirs)}`, `this tenant took ${took(own)}`);
  return { text, evidence };
}

function slowStage({ stages }: CauseFacts): Finding | null {
  const slow = stages
    .flatMap(({ stage, p95Ms, baselineP95Ms, count }) =>
      p95Ms === null || !baselineP95Ms || count < SLOW_FROM ? [] : [{ stage, p95Ms, baselineP95Ms, count }],
    )
    .filter(({ p95Ms, baselineP95Ms }) => p95Ms > SLOW_TIMES * baselineP95Ms)
    // The one that costs most, not the one that grew most: 3 ms that were 1 ms make nobody late.
    .sort((a, b) => b.p95Ms - b.baselineP95Ms - (a.p95Ms - a.baselineP95Ms));
  const [worst] = slow;
  if (worst === undefined) return null;
  return {
    text: `slow stage: ${worst.stage}`,
    evidence: slow.map(
      ({ stage, p95Ms, baselineP95Ms, count }) =>
        `${stage}: p95 ${formatDuration(p95Ms)} over ${count} jobs, usually ${formatDuration(baselineP95Ms)}`,
    ),
  };
}

function unclear({ lagMs, allowedLagMs }: CauseFacts): Finding {
  const evidence =
    lagMs === null ? [] : [`lag ${formatDuration(lagMs)}, allowed ${formatDuration(allowedLagMs)}`];
  return { text: 'cause unclear', evidence };
}

function perMinute(perSecond: number): string {
  const rate = perSecond * 60;
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/min`;
}
