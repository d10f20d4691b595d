// Steps of an axis of durations: 1m 40s is a round number of seconds and no round number to a person.
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const steps = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((count) => count * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((count) => count * MINUTE),
  ...[1, 2, 3, 6, 12, 24, 48].map((count) => count * HOUR),
];

/** The step, in ms, that divides an axis up to `maxMs` into at most `most` parts. */
export function durationStep(maxMs: number, most: number): number {
  return steps.find((step) => maxMs / step <= most) ?? Math.ceil(maxMs / most / (24 * HOUR)) * 24 * HOUR;
}

/** Ticks of a logarithmic axis of durations, in ms. */
export const durationDecades: readonly number[] = [
  1,
  10,
  100,
  SECOND,
  10 * SECOND,
  MINUTE,
  10 * MINUTE,
  HOUR,
  10 * HOUR,
  100 * HOUR,
];
