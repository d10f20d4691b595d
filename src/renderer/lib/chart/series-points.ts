// From values to the points of a chart: stacked where they are parts of a whole, with gaps kept as gaps.
export interface Point {
  x: number;
  y: number | null;
  /** The series' own value; `y` has those below it added in a stack. */
  own: number | null;
}
type Values = readonly (number | null)[];

/**
 * Each series' points; in a stack each stands on those before it, and a gap in all is a gap. One that is `over` the
 * stack is no part of it. Gaps up to `bridgeMs`
 * are drawn through: a bucket in which no run happened to end is no hole in what is known.
 */
export function pointsOf(
  times: readonly number[],
  series: readonly { values: Values; over?: boolean }[],
  options: { stacked: boolean; log: boolean; bridgeMs: number },
): Point[][] {
  const sums = times.map(() => 0);
  const drawn = series.map(({ values }) => bridged(times, values, options.bridgeMs));
  const gaps = times.map((_, index) =>
    drawn.every((values, at) => series[at]?.over === true || (values[index] ?? null) === null),
  );
  return series.map((one, at) =>
    times.map((x, index) => {
      const own = one.values[index] ?? null;
      const value = drawn[at]?.[index] ?? null;
      if (!options.stacked || one.over === true) return { x, y: positive(value, options.log), own };
      sums[index] = (sums[index] ?? 0) + (value ?? 0);
      return { x, y: gaps[index] === true ? null : (sums[index] ?? 0), own };
    }),
  );
}

/** The values with short gaps filled along a straight line. */
function bridged(times: readonly number[], values: Values, bridgeMs: number): Values {
  if (bridgeMs === 0) return values;
  const filled = [...values];
  let before = -1;
  values.forEach((value, at) => {
    if (value === null) return;
    const [from, to] = [times[before] ?? -Infinity, times[at] ?? 0];
    const start = values[before] ?? 0;
    if (before >= 0 && to - from <= bridgeMs)
      for (let gap = before + 1; gap < at; gap += 1)
        filled[gap] = start + ((value - start) * ((times[gap] ?? 0) - from)) / (to - from);
    before = at;
  });
  return filled;
}

/** A logarithmic axis has no zero; what is not above it is not drawn. */
const positive = (value: number | null, log: boolean): number | null =>
  log && value !== null && value <= 0 ? null : value;

/** A value between two gaps has no line; it gets a point. */
export const isAlone = (points: readonly Point[], index: number): boolean =>
  (points[index]?.y ?? null) !== null &&
  (points[index - 1]?.y ?? null) === null &&
  (points[index + 1]?.y ?? null) === null;
