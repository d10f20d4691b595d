// When a stage became slower or faster: the moment that parts its p95 most.
//
// Split anywhere near a step, the two sides have about the same two p95s, for a p95 does not mind a few strangers:
// the largest ratio alone says from what to what, and not when. So in two steps: the split of the largest ratio
// gives the two levels; then the moment is the split whose sides differ most in how many attempts took longer than
// the middle between the levels, by the likelihood ratio of two shares against one (the maximum-likelihood change
// point of a sequence of yes and no; Hinkley and Hinkley, Biometrika 57, 1970). The same ratio tells chance apart.
import { BucketCounts, placeOf, PLACES, type SketchSeries } from './bucket-counts.ts';

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

/** The place halfway, on the logarithmic scale, between the two p95s that differ most; null when none differ. */
function middleOfLevels(series: SketchSeries, all: number): number | null {
  const { slots, places, times } = series;
  const before = new RunningP95();
  const after = new RunningP95();
  for (const slot of slots) for (let i = slot.at; i < slot.end; i++) after.add(places[i] ?? 0, times[i] ?? 0);
  let widest = 0;
  let middle: number | null = null;
  for (const slot of slots) {
    if (before.count >= MIN_ON_A_SIDE && all - before.count >= MIN_ON_A_SIDE) {
      const [a, b] = [Math.max(before.place(), NOTICED), Math.max(after.place(), NOTICED)];
      if (Math.abs(a - b) > widest) {
        widest = Math.abs(a - b);
        middle = Math.floor((a + b) / 2);
      }
    }
    for (let i = slot.at; i < slot.end; i++) {
      const [place, count] = [places[i] ?? 0, times[i] ?? 0];
      before.add(place, count);
      after.add(place, -count);
    }
  }
  return middle;
}

/** The slot that the second side begins with; null when no split is more than chance. */
function likeliestSplit(series: SketchSeries, all: number, middle: number): number | null {
  const { slots, places, times } = series;
  const slow = slots.map(({ at, end }) => {
    let count = 0;
    for (let i = at; i < end; i++) if ((places[i] ?? 0) > middle) count += times[i] ?? 0;
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

/** The place of the p95 while values come and go: a step costs as far as the p95 moves. */
class RunningP95 {
  readonly #times = new Int32Array(PLACES);
  #place = 0;
  /** Values at places before `#place`. */
  #below = 0;
  count = 0;

  add(place: number, times: number): void {
    this.#times[place] = (this.#times[place] ?? 0) + times;
    this.count += times;
    if (place < this.#place) this.#below += times;
  }

  place(): number {
    const rank = Math.floor(P95 * (this.count - 1));
    while (this.#below > rank) this.#below -= this.#times[--this.#place] ?? 0;
    while (this.#place < PLACES && this.#below + (this.#times[this.#place] ?? 0) <= rank)
      this.#below += this.#times[this.#place++] ?? 0;
    return this.#place;
  }
}
