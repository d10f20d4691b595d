// Values of alert rules: shown in words, edited in the unit people think in, stored in the unit of the settings.
import type { AlertRule } from '../../../core/alert.ts';
import { formatDuration, formatPercent } from '../../../core/duration.ts';
import { NO_DATA, formatWhole } from './figures.ts';

type Unit = AlertRule['unit'];

export function formatMetric(value: number | null, unit: Unit): string {
  if (value === null) return NO_DATA;
  if (unit === 'ms') return formatDuration(value);
  if (unit === 'ratio') return formatPercent(value);
  return unit === 'jobs'
    ? `${formatWhole(value)} ${value === 1 ? 'job' : 'jobs'}`
    : value === 0
      ? 'no'
      : 'yes';
}

/** The unit beside a threshold's field. */
export const editUnit: Record<Unit, string> = { ms: 's', ratio: '%', jobs: 'jobs', flag: '' };

/** A rule's value as its field shows it: seconds, per cent, jobs. */
export function toField(value: number | null, unit: Unit): string {
  if (value === null) return '';
  if (unit === 'ms') return String(value / 1_000);
  return String(unit === 'ratio' ? Math.round(value * 10_000) / 100 : value);
}

/** What a field says, as the settings store it (seconds, ratio, jobs); null when empty, undefined when no number. */
export function fromField(text: string, unit: Unit): number | null | undefined {
  if (text.trim() === '') return null;
  const value = Number(text.replace(',', '.'));
  if (!Number.isFinite(value) || value < 0) return undefined;
  return unit === 'ratio' ? value / 100 : value;
}
