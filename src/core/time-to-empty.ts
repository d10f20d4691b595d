// When it will be over: a range, because two counted rates and a bounded depth cannot give a moment.
import { z } from 'zod';
import type { Count } from './count.ts';
import type { Tally } from './flow-ledger.ts';

export const timeToEmptySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('empty') }),
  z.object({ kind: z.literal('growing') }),
  z.object({ kind: z.literal('standing') }),
  z.object({ kind: z.literal('unclear') }),
  z.object({ kind: z.literal('unknown') }),
  z.object({ kind: z.literal('range'), minMs: z.number(), maxMs: z.number() }),
]);
/**
 * `empty`: nothing to do. `growing`: more comes than goes. `standing`: the same, within the counting error.
 * `unclear`: a range wider than 10 times. `unknown`: the flows are not known. `range`: between the two.
 */
export type TimeToEmpty = z.infer<typeof timeToEmptySchema>;

/** The stretches over which the net flow is judged, ms. */
export const NET_WINDOWS_MS = [5 * 60_000, 15 * 60_000] as const;
/** Rates counted for less than this are not known yet, ms. */
const LEAST_COVERED_MS = 30_000;
/** Counting error in standard deviations: about 95 of 100 ranges hold the truth. */
const SIGMAS = 2;
/** A wider range (maximum over minimum) tells an engineer nothing. */
const WIDEST = 10;
/** The optimiser's estimates are right within this factor (InnoDB, measured). */
const ESTIMATE_FACTOR = 2;

interface Net {
  perMs: number;
  /** Counting error of `perMs`. A Poisson count n has the variance n. */
  errorPerMs: number;
}

/**
 * @param depth ready and running jobs now
 * @param flows arrivals and finished attempts over the last 5 and 15 minutes (as much of them as was watched)
 */
export function timeToEmpty(
  depth: Count,
  flows: readonly { arrivals: Tally; attempts: Tally }[],
): TimeToEmpty {
  if (depth.kind === 'exact' && depth.value === 0) return { kind: 'empty' };
  const nets: Net[] = [];
  for (const { arrivals, attempts } of flows) {
    if (Math.min(arrivals.coveredMs, attempts.coveredMs) < LEAST_COVERED_MS) return { kind: 'unknown' };
    nets.push(netOf(arrivals, attempts));
  }
  if (nets.length === 0) return { kind: 'unknown' };
  if (nets.every((net) => net.perMs <= 0)) {
    const withinNoise = nets.every((net) => -net.perMs <= net.errorPerMs);
    return { kind: withinNoise ? 'standing' : 'growing' };
  }
  const fastest = Math.max(...nets.map((net) => net.perMs + net.errorPerMs));
  const slowest = Math.min(...nets.map((net) => net.perMs - net.errorPerMs));
  const [least, most] = boundsOf(depth);
  if (slowest <= 0) return { kind: 'unclear' };
  const minMs = least / fastest;
  const maxMs = most / slowest;
  return maxMs > WIDEST * minMs ? { kind: 'unclear' } : { kind: 'range', minMs, maxMs };
}

function netOf(arrivals: Tally, attempts: Tally): Net {
  // No event at all is not certainty: with none seen, up to one or so may have been due.
  const variance = ({ count, coveredMs }: Tally) => Math.max(1, count) / coveredMs ** 2;
  return {
    perMs: attempts.count / attempts.coveredMs - arrivals.count / arrivals.coveredMs,
    errorPerMs: SIGMAS * Math.sqrt(variance(arrivals) + variance(attempts)),
  };
}

function boundsOf({ value, kind }: Count): [least: number, most: number] {
  switch (kind) {
    case 'exact':
      return [value, value];
    case 'at-least':
      return [value, Infinity];
    case 'estimate':
      return [value / ESTIMATE_FACTOR, value * ESTIMATE_FACTOR];
  }
}
