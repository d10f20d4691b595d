// A density plot as a table: for whoever cannot see it, and to read numbers off.
import type { TimingSizes } from '../../../contract/log-search.ts';

export interface SizeRow {
  fromBytes: number;
  toBytes: number;
  records: number;
  /** Upper edges of the duration cells in which the median and the p95 fall. */
  p50Ms: number;
  p95Ms: number;
}

/** At most `most` rows, each of as many size cells; sizes that none had are left out. */
export function sizeRows({ sizeEdges, msEdges, density }: TimingSizes, most = 12): SizeRow[] {
  const together = Math.max(1, Math.ceil(density.length / most));
  const rows: SizeRow[] = [];
  for (let at = 0; at < density.length; at += together) {
    const cells = density.slice(at, at + together);
    const counts = msEdges.slice(1).map((_, j) => cells.reduce((sum, row) => sum + (row[j] ?? 0), 0));
    const records = counts.reduce((sum, count) => sum + count, 0);
    if (records === 0) continue;
    const quantile = (q: number): number => {
      let left = Math.floor(q * (records - 1));
      const cell = counts.findIndex((count) => (left -= count) < 0);
      return msEdges[cell + 1] ?? NaN;
    };
    rows.push({
      fromBytes: sizeEdges[at] ?? 0,
      toBytes: sizeEdges[Math.min(at + together, density.length)] ?? 0,
      records,
      p50Ms: quantile(0.5),
      p95Ms: quantile(0.95),
    });
  }
  return rows;
}
