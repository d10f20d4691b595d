// One line of text becomes a line the window can show: its time, its level, its timing. Never throws.
import type { LogLevel } from '../../contract/logs.ts';
import { inertText } from './line-splitter.ts';
import type { ParsedLine } from './log-events.ts';
import { readTiming } from './read-timing.ts';

/** What a log's carrier (Docker, the journal) already knows of a line; the line's own words come first. */
export interface Carried {
  atMs: number | null;
  level: LogLevel | null;
}

export function parseLine(line: string, readAtMs: number, carried?: Carried): ParsedLine {
  const text = inertText(line);
  const timing = readTiming(line);
  return {
    readAtMs,
    atMs: readTimestamp(text, readAtMs) ?? carried?.atMs ?? null,
    kind: 'line',
    level: readLevel(text) ?? carried?.level ?? null,
    text,
    timing: typeof timing === 'object' ? timing.record : null,
    malformedTiming: timing === 'malformed',
  };
}

/** A line of our own between the log's lines: a gap, a reconnect, a note. */
export function ownLine(
  kind: Exclude<ParsedLine['kind'], 'line'>,
  text: string,
  readAtMs: number,
): ParsedLine {
  const level = kind === 'gap' || kind === 'drop' ? 'warn' : 'info';
  return { readAtMs, atMs: readAtMs, kind, level, text, timing: null, malformedTiming: false };
}

const HEAD_LENGTH = 120;
const ISO =
  /(?<!\d)(\d{4})[-/](\d{2})[-/](\d{2})[T ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?(?: ?(Z|UTC|[+-]\d{2}:?\d{2}))?/;
const SYSLOG =
  /^(?:<\d+>)?(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}) (\d{2}):(\d{2}):(\d{2})\b/;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY_MS = 86_400_000;

/**
 * The time at the head of a line in epoch ms: Postal's `2026-01-09 12:34:56 +0000`, ISO 8601, `2026/01/09 …`, or
 * syslog's `Jan  9 12:34:56`. A time without a zone counts as UTC; one without a year is the latest that is not in
 * the future (a day's grace for zones). null when there is none.
 */
export function readTimestamp(text: string, nowMs: number): number | null {
  const head = text.slice(0, HEAD_LENGTH);
  const iso = ISO.exec(head);
  if (iso !== null) {
    const [, year, month, day, hour, minute, second, fraction, zone] = iso;
    const ms = Number(`0.${fraction ?? '0'}`) * 1000;
    return utc([year, month, day, hour, minute, second].map(Number), Math.floor(ms), zoneOffsetMs(zone));
  }
  const syslog = SYSLOG.exec(head);
  if (syslog === null) return null;
  const [, month = '', day, hour, minute, second] = syslog;
  const year = new Date(nowMs).getUTCFullYear();
  const at = (inYear: number) =>
    utc([inYear, MONTHS.indexOf(month) + 1, Number(day), Number(hour), Number(minute), Number(second)], 0, 0);
  const thisYear = at(year);
  return thisYear !== null && thisYear > nowMs + DAY_MS ? at(year - 1) : thisYear;
}

function utc(parts: number[], ms: number, offsetMs: number): number | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return null;
  return Date.UTC(year, month - 1, day, hour, minute, second, ms) - offsetMs;
}

function zoneOffsetMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z' || zone === 'UTC') return 0;
  const sign = zone.startsWith('-') ? -1 : 1;
  return sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))) * 60_000;
}

// Bare words only in capitals: prose says "error" too. In brackets or after `level=` any case counts.
const BARE_LEVEL =
  /\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|CRIT|CRITICAL|ALERT|EMERG|FATAL|PANIC)\b/;
const NAMED_LEVEL = /(?:\b(?:level|lvl|severity)"?\s*[=:]\s*"?|\[)([a-z]+)\b/gi;
const LEVELS: Record<string, LogLevel> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  NOTICE: 'info',
  WARN: 'warn',
  WARNING: 'warn',
  ERR: 'error',
  ERROR: 'error',
  CRIT: 'error',
  CRITICAL: 'error',
  ALERT: 'error',
  EMERG: 'error',
  FATAL: 'error',
  PANIC: 'error',
};

/** The level named in the head of a line; null when none is. */
export function readLevel(text: string): LogLevel | null {
  const head = text.slice(0, HEAD_LENGTH);
  const bare = BARE_LEVEL.exec(head)?.[1];
  if (bare !== undefined) return LEVELS[bare] ?? null;
  for (const [, word = ''] of head.matchAll(NAMED_LEVEL)) {
    const key = word.toUpperCase();
    if (Object.hasOwn(LEVELS, key)) return LEVELS[key] ?? null;
  }
  return null;
}
