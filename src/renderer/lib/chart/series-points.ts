// From values to the points of a chart: stacked where they are parts of a whole, with gaps kept as gaps.
export interface Point {
  x: number;
  y: number | null;
  /** The series' own value; `y` has those below it added in a stack. */
  own: number | null;
}
type Values = readonly (number | null)[];

/** Each series' points; in a stack each stands on those before it, and a gap in one is a gap in all. */
export function pointsOf(
  times: readonly number[],
  series: readonly { values: Values }[],
  stacked: boolean,
  log: boolean,
): Point[][] {
  const sums = times.map(() => 0);
  const gaps = times.map((_, index) => series.every((one) => (one.values[index] ?? null) === null));
  return series.map((one) =>
    times.map((x, index) => {
      const own = one.values[index] ?? null;
      if (!stacked) return { x, y: positive(own, log), own };
      sums[index] = (sums[index] ?? 0) + (own ?? 0);
      return { x, y: gaps[index] === true ? null : (sums[index] ?? 0), own };
    }),
  );
}

/** A logarithmic axis has no zero; what is not above it is not drawn. */
const positive = (value: number | null, log: boolean): number | null =>
  log && value !== null && value <= 0 ? null : value;

/** A value between two gaps has no line; it gets a point. */
export const isAlone = (values: readonly (number | null)[], index: number): boolean =>
  (values[index] ?? null) !== null &&
  (values[index - 1] ?? null) === null &&
  (values[index + 1] ?? null) === null;
