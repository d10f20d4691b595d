// Throttles and breakers over time, as lanes are drawn: spans of a state, steps of a limit. Pure.
import type { BreakerReport, KindReport } from '../../../contract/engine-report.ts';

export interface BreakerSpan {
  state: BreakerReport['state'];
  fromMs: number;
  toMs: number;
}

/** The states of a breaker within a range, the last one until its end. Before its first change it was closed. */
export function breakerSpans(
  { state, sinceMs, history }: Pick<BreakerReport, 'state' | 'sinceMs' | 'history'>,
  fromMs: number,
  toMs: number,
): BreakerSpan[] {
  const marks = history.length > 0 ? history : [{ atMs: sinceMs, value: state }];
  const spans: BreakerSpan[] = [];
  const add = (value: BreakerReport['state'], startMs: number, endMs: number): void => {
    const span = { state: value, fromMs: Math.max(fromMs, startMs), toMs: Math.min(toMs, endMs) };
    if (span.toMs > span.fromMs) spans.push(span);
  };
  add('closed', fromMs, marks[0]?.atMs ?? toMs);
  for (const [index, mark] of marks.entries()) add(mark.value, mark.atMs, marks[index + 1]?.atMs ?? toMs);
  return spans;
}

/**
 * The limit of a throttle within a range as an SVG path in a box of `width` by `height`: steps, from its least (bottom) to its
 * most (top). Before its first change it stood where that one began from, which is not known: nothing is drawn.
 */
export function throttlePath(
  { limit, minimum, maximum, history }: NonNullable<KindReport['throttle']>,
  { fromMs, toMs, width, height }: { fromMs: number; toMs: number; width: number; height: number },
): string {
  const before = history.findLast(({ atMs }) => atMs <= fromMs);
  const inside = history.filter(({ atMs }) => atMs > fromMs && atMs <= toMs);
  const steps = [
    ...(before === undefined ? [] : [{ atMs: fromMs, value: before.value }]),
    ...(history.length === 0 ? [{ atMs: fromMs, value: limit }] : inside),
  ];
  const x = (atMs: number): string => (((atMs - fromMs) / (toMs - fromMs)) * width).toFixed(1);
  const y = (value: number): string =>
    (height - 1 - ((value - minimum) / Math.max(1, maximum - minimum)) * (height - 2)).toFixed(1);
  return steps
    .map(({ atMs, value }, index) => (index === 0 ? `M${x(atMs)} ${y(value)}` : `H${x(atMs)}V${y(value)}`))
    .concat(steps.length === 0 ? [] : [`H${width}`])
    .join('');
}
