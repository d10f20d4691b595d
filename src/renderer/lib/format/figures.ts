// Numbers that only the window writes; durations, counts and ratios read as everywhere (src/core/duration.ts). Only
// rows on the screen are formatted, so nothing here is cached.
import { formatDuration } from '../../../core/duration.ts';
import type { TimeToEmpty } from '../../../core/time-to-empty.ts';

/** What stands where nothing was measured. */
export const NO_DATA = '–';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const timeOfDay = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dayAndTime = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

export const formatWhole = (value: number): string => whole.format(value);

/** Since when something has been so, in whole seconds: tenths would only flicker. */
export function formatAge(ms: number): string {
  const wholeSeconds = Math.max(0, Math.floor(ms / 1_000));
  return wholeSeconds < 60 ? `${wholeSeconds} s` : formatDuration(wholeSeconds * 1_000);
}

/** A rate with one decimal under 10, none above. */
export function formatRate(value: number | null): string {
  if (value === null) return NO_DATA;
  return value < 10 ? tenths.format(value) : whole.format(value);
}

/** 12:34:56, local time. */
export const formatTime = (atMs: number): string => timeOfDay.format(atMs);
/** 3 Nov, 12:34, local time. */
export const formatDayAndTime = (atMs: number): string => dayAndTime.format(atMs);

/** A moment near `nowMs`: its time, with the day where it is another one. */
export const formatWhen = (atMs: number, nowMs: number): string =>
  new Date(atMs).toDateString() === new Date(nowMs).toDateString()
    ? formatTime(atMs)
    : formatDayAndTime(atMs);

/** The time to empty in words; growing is an answer, too. */
export function formatTimeToEmpty(time: TimeToEmpty): string {
  switch (time.kind) {
    case 'empty':
      return 'now';
    case 'range':
      return time.minMs === time.maxMs
        ? `in ${formatDuration(time.minMs)}`
        : `in ${formatDuration(time.minMs)} to ${formatDuration(time.maxMs)}`;
    case 'growing':
    case 'standing':
    case 'unclear':
    case 'unknown':
      return time.kind;
  }
}
