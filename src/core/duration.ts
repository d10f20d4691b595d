// Numbers as people read them, the same in every window, alert and log: units always, 5m 12s and not 312000.
import type { Count } from './count.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * An age, a wait or the time of a stage: "0.4 ms", "412 ms", "8.4 s", "41 s", "5m 12s", "3h 04m", "2d 05h". From
 * 10 s on rounded down, as ages are; what is negative is a clock's error and reads "0 ms".
 */
export function formatDuration(ms: number): string {
  const age = Math.max(0, ms);
  if (age < 9.95) return `${trimmed(age)} ms`;
  if (age < SECOND - 0.5) return `${age.toFixed(0)} ms`;
  if (age < 10 * SECOND - 50) return `${(age / SECOND).toFixed(1)} s`;
  // What is just short of 10 s has no tenth to show and would fall to 9.
  if (age < MINUTE) return `${Math.max(10, Math.floor(age / SECOND))} s`;
  if (age < HOUR) return `${Math.floor(age / MINUTE)}m ${twoDigits((age % MINUTE) / SECOND)}s`;
  if (age < DAY) return `${Math.floor(age / HOUR)}h ${twoDigits((age % HOUR) / MINUTE)}m`;
  return `${Math.floor(age / DAY)}d ${twoDigits((age % DAY) / HOUR)}h`;
}

/**
 * A count with its bound: "1,204", "200+", "≈ 1,204", "≈ 68 k", "≈ 2.4 M". An estimate is right within 2 times, so
 * a large one is given in two digits.
 */
export function formatCount({ value, kind }: Count): string {
  switch (kind) {
    case 'exact':
      return grouped(value);
    case 'at-least':
      return `${grouped(value)}+`;
    case 'estimate':
      if (value < 10_000) return `≈ ${grouped(value)}`;
      if (value < 995_000) return `≈ ${twoFigures(value / 1e3)} k`;
      return value < 995e6 ? `≈ ${twoFigures(value / 1e6)} M` : `≈ ${twoFigures(value / 1e9)} G`;
  }
}

/** A ratio from 0 to 1: "97 %", "3.1 %"; "100 %" only when it is all, "0 %" only when it is nothing. */
export function formatPercent(ratio: number): string {
  const percent = ratio * 100;
  if (percent > 0 && percent < 0.1) return '< 0.1 %';
  if (percent > 99 && percent < 100) return '> 99 %';
  return percent > 0 && percent < 9.95 ? `${trimmed(percent)} %` : `${percent.toFixed(0)} %`;
}

function twoDigits(value: number): string {
  return Math.floor(value).toString().padStart(2, '0');
}

function twoFigures(value: number): string {
  return value < 9.95 ? trimmed(value) : grouped(Number(value.toPrecision(2)));
}

function trimmed(value: number): string {
  return value.toFixed(1).replace('.0', '');
}

function grouped(value: number): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}
