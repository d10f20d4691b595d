// When a stage became slower or faster: the moment that parts its p95 most.
//
// Split anywhere near a step, the two sides have about the same two p95s, for a p95 does not mind a few strangers:
// the largest ratio of two sides' p95s says from what to what, and not when. So in two steps. First the levels: the
// slots' own p95s, on the logarithmic scale, are parted where their two means lie furthest apart for their weight.
// Then the moment: the split whose sides differ most in how many attempts took longer than the middle between the
// levels, by the likelihood ratio of two shares against one (the maximum-likelihood change point of a sequence of
// yes and no; Hinkley and Hinkley, Biometrika 57, 1970). The same ratio tells chance apart. Both steps look at the
// slow end of a slot only, so that a day of thousands of stages without a change costs little.
import { BucketCounts, placeOf, type SketchSeries, type SketchSlot } from './bucket-counts.ts';

export interface ChangePoint {
  /** p95 in ms before the moment and from it on. */
  fromMs: number;
  toMs: number;
  /** Start of the first slot after the change. */
  atMs: number;
}

/** Attempts on each side, at least. */
export const MIN_ON_A_SIDE = 20;
/** A change under a fifth is not worth a sentence. */
export const MIN_RATIO = 1.2;
/** Twice the log-likelihood ratio. Chance gives this much about once in ten million splits. */
const MIN_EVIDENCE = 30;
const P95 = 0.95;
/** Below this all is the same to a person: a change from 0.01 to 0.05 ms is no change. */
const NOTICED_MS = 1;
const NOTICED = placeOf(NOTICED_MS);
/** Levels that lie closer, a place being 2 %, are one. */
const MIN_PLACES = 4;

/** By how many times a change is larger or smaller; at least 1. */
export function changeRatio({ fromMs, toMs }: Pick<ChangePoint, 'fromMs' | 'toMs'>): number {
  const ratio = Math.max(toMs, NOTICED_MS) / Math.max(fromMs, NOTICED_MS);
  return Math.max(ratio, 1 / ratio);
}

/** Null when there is no change that is certain and large enough. */
export function changePoint(series: SketchSeries): ChangePoint | null {
  const { slots } = series;
  const all = slots.reduce((sum, { count }) => sum + count, 0);
  if (slots.length < 2 || all < 2 * MIN_ON_A_SIDE) return null;
  const middle = middleOfLevels(series, all);
  if (middle === null) return null;
  const split = likeliestSplit(series, all, middle);
  if (split === null) return null;
  const change = {
    fromMs: p95Of(series, 0, split),
    toMs: p95Of(series, split, slots.length),
    atMs: slots[split]?.tMs ?? 0,
  };
  return changeRatio(change) >= MIN_RATIO ? change : null;
}

/** The place halfway between the two levels; null when they are as good as one. */
function middleOfLevels(series: SketchSeries, all: number): number | null {
  const groups = groupsOf(series.slots).map(({ slots, count }) => ({
    count,
    place: Math.max(NOTICED, p95Place(series, slots, count)),
  }));
  const sumAll = groups.reduce((sum, { count, place }) => sum + count * place, 0);
  let [before, sum, most] = [0, 0, 0];
  let levels: [number, number] | null = null;
  for (const { count, place } of groups) {
    const after = all - before;
    if (before >= MIN_ON_A_SIDE && after >= MIN_ON_A_SIDE) {
      const [a, b] = [sum / before, (sumAll - sum) / after];
      const gain = (a - b) ** 2 * before * after;
      if (gain > most) {
        most = gain;
        levels = [a, b];
      }
    }
    before += count;
    sum += count * place;
  }
  if (levels === null || Math.abs(levels[0] - levels[1]) < MIN_PLACES) return null;
  return Math.floor((levels[0] + levels[1]) / 2);
}

/** Slots in a row with enough attempts for a p95; the last takes in what is left. */
function groupsOf(slots: readonly SketchSlot[]): { slots: SketchSlot[]; count: number }[] {
  const groups: { slots: SketchSlot[]; count: number }[] = [];
  let open: { slots: SketchSlot[]; count: number } = { slots: [], count: 0 };
  for (const slot of slots) {
    open.slots.push(slot);
    open.count += slot.count;
    if (open.count < MIN_ON_A_SIDE) continue;
    groups.push(open);
    open = { slots: [], count: 0 };
  }
  const last = groups.at(-1);
  if (last !== undefined && open.count > 0) {
    last.slots.push(...open.slots);
    last.count += open.count;
  }
  return groups;
}

/** Where the p95 of slots together lies: counted from their slow ends, which come to one by one. */
function p95Place({ places, times }: SketchSeries, slots: readonly SketchSlot[], count: number): number {
  let left = count - Math.floor(P95 * (count - 1));
  const ends = slots.map(({ end }) => end);
  for (;;) {
    let slowest = 0;
    let highest = -1;
    slots.forEach(({ at }, i) => {
      const end = ends[i] ?? 0;
      const place = end > at ? (places[end - 1] ?? 0) : -1;
      if (place > highest) [highest, slowest] = [place, i];
    });
    if (highest < 0) return 0;
    const end = ends[slowest] ?? 0;
    left -= times[end - 1] ?? 0;
    if (left <= 0) return highest;
    ends[slowest] = end - 1;
  }
}

/** The slot that the second side begins with; null when no split is more than chance. */
function likeliestSplit(series: SketchSeries, all: number, middle: number): number | null {
  const { slots, places, times } = series;
  const slow = slots.map(({ at, end }) => {
    let count = 0;
    for (let i = end - 1; i >= at && (places[i] ?? 0) > middle; i--) count += times[i] ?? 0;
    return count;
  });
  const allSlow = slow.reduce((sum, count) => sum + count, 0);
  const base = logLikelihood(allSlow, all);
  let [seen, seenSlow] = [0, 0];
  let best: number | null = null;
  let most = MIN_EVIDENCE / 2;
  slots.forEach(({ count }, i) => {
    if (seen >= MIN_ON_A_SIDE && all - seen >= MIN_ON_A_SIDE) {
      const gain = logLikelihood(seenSlow, seen) + logLikelihood(allSlow - seenSlow, all - seen) - base;
      if (gain > most) {
        most = gain;
        best = i;
      }
    }
    seen += count;
    seenSlow += slow[i] ?? 0;
  });
  return best;
}

/** Of `yes` out of `all` under their own share. */
function logLikelihood(yes: number, all: number): number {
  const term = (count: number): number => (count === 0 ? 0 : count * Math.log(count / all));
  return term(yes) + term(all - yes);
}

function p95Of(series: SketchSeries, from: number, to: number): number {
  const counts = new BucketCounts();
  for (const slot of series.slots.slice(from, to)) counts.add(series, slot);
  return counts.quantiles([P95])[0] ?? 0;
}
