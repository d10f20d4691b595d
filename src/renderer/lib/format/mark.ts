// Which mark stands for what: told apart by shape first, colour second.
import type { Severity } from '../../../core/alert.ts';
import type { TenantRow } from '../../../contract/live.ts';

export const marks = [
  'ok',
  'idle',
  'warning',
  'critical',
  'recovering',
  'paused',
  'warming-up',
  'no-data',
] as const;
export type Mark = (typeof marks)[number];

export function markOf(row: Pick<TenantRow, 'status' | 'severity'>): Mark {
  if (row.status === 'no-data' || row.status === 'warming-up' || row.status === 'paused') return row.status;
  if (row.severity !== null) return row.severity;
  switch (row.status) {
    case 'ok':
    case 'idle':
    case 'recovering':
      return row.status;
    case 'stopped':
    case 'stalled':
    case 'stuck':
    case 'lagging':
      return 'warning';
  }
}

export const markOfSeverity = (severity: Severity | null): Mark => severity ?? 'ok';
