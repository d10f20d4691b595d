// A tenant's jobs as a bar: its parts by state, its length on one scale for all rows.
import type { TenantRow } from '../../../contract/live.ts';

type Depths = Pick<TenantRow, 'ready' | 'delayed' | 'running' | 'stale'>;

/** Jobs of the tenant in all states; stale ones are counted among the running. */
export function depthOf({ ready, delayed, running }: Depths): number {
  return ready.value + delayed.value + running.value;
}

/**
 * The length of a bar in percent: by the square root, so that a queue of three is still seen beside one of ten
 * thousand. 0 for nothing.
 */
export function barLength(depth: number, deepest: number): number {
  return depth === 0 ? 0 : Math.max(4, 100 * Math.sqrt(depth / Math.max(depth, deepest)));
}

/** The states side by side as one background: an element a state would be four times the page. */
export function stateGradient(row: Depths): string {
  const stale = Math.min(row.stale.value, row.running.value);
  const parts: [color: string, count: number][] = [
    ['--series-5', stale],
    ['--series-3', row.running.value - stale],
    ['--series-1', row.ready.value],
    ['--series-6', row.delayed.value],
  ];
  const whole = depthOf(row);
  let at = 0;
  const stops = parts
    .filter(([, count]) => count > 0)
    .map(([color, count]) => {
      const from = (at / whole) * 100;
      at += count;
      return `var(${color}) ${from.toFixed(1)}% ${((at / whole) * 100).toFixed(1)}%`;
    });
  return stops.length === 0 ? 'none' : `linear-gradient(90deg, ${stops.join(', ')})`;
}
