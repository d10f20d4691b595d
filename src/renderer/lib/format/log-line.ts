// What a log line says, taken apart for the eye: its time, its text without the time, its fields.
import type { LogLine } from '../../../contract/logs.ts';
import { formatDuration } from '../../../core/duration.ts';

/** The line's own time, or when it was read. */
export const timeOf = (line: Pick<LogLine, 'atMs' | 'readAtMs'>): number => line.atMs ?? line.readAtMs;

/** An error by its level or by how its attempt ended. */
export const isBad = (line: Pick<LogLine, 'level' | 'timing'>): boolean =>
  line.level === 'error' || line.timing?.status === 'error';

const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});
/** `12:34:56.789`, local time; a whole second without its noughts, for most logs tell no finer time. */
export const formatClock = (atMs: number): string => clock.format(atMs).replace(/\.000$/, '');

const full = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});
/** `22 Nov, 12:34:56.789`, local time. */
export const formatMoment = (atMs: number): string => full.format(atMs).replace(/\.000$/, '');

const HEAD =
  /^(?:<\d+>)?(?:\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?|[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d)\s+/;
const LEVEL = /^\[?(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERR|ERROR|CRITICAL|FATAL)\]?:?\s+/;

/** The text without the time and the level at its head: they have columns of their own. */
export function bodyOf(line: Pick<LogLine, 'text' | 'atMs' | 'level'>): string {
  const text = line.atMs === null ? line.text : line.text.replace(HEAD, '');
  return line.level === null ? text : text.replace(LEVEL, '');
}

/** A line in a few words: an attempt by what came of it, another by its text. */
export function summaryOf(line: LogLine, nameOf: (tenantId: string) => string | undefined): string {
  const { timing } = line;
  if (timing === null) return bodyOf(line);
  const who = nameOf(timing.tenantId) ?? timing.tenantId;
  const end = timing.status === 'error' ? ` ${timing.error ?? 'error'}` : '';
  return `${who} ${formatDuration(timing.totalMs)}${end}`;
}

/** `mail-1` of `worker@mail-1:22 /var/log/postal.log`; a label of another form stands for itself. */
export function shortSource(label: string): string {
  return /^[^@\s]+@(.+?):\d+ /.exec(label)?.[1] ?? label;
}

export interface LogField {
  name: string;
  value: string;
  /** The term that keeps lines with this value; null where the filter has no word for it. */
  filter: string | null;
}

const PAIR =
  /(?:^|[\s,({[])(?:([A-Za-z_][\w.-]*)=|"([\w.-]+)"\s*:\s*)(?:"((?:[^"\\]|\\.)*)"|([^\s,;{}()[\]"]+))/g;
/** A line of 16 kB may hold hundreds; a person reads the first few. */
const MAX_PAIRS = 40;

/** `key=value`, `key="value"` and `"key": value` in a text, in its order. */
export function pairsOf(text: string): { name: string; value: string }[] {
  const pairs: { name: string; value: string }[] = [];
  for (const [, name, jsonName, quoted, bare] of text.matchAll(PAIR)) {
    pairs.push({ name: name ?? jsonName ?? '', value: quoted ?? bare ?? '' });
    if (pairs.length === MAX_PAIRS) break;
  }
  return pairs;
}

/** Everything that is known of a line beside its text and its stages. */
export function fieldsOf(line: LogLine): LogField[] {
  const { timing } = line;
  const fields: LogField[] = [];
  const add = (name: string, value: string | null, filterName: string | null = name): void => {
    if (value !== null && value !== '')
      fields.push({ name, value, filter: filterName === null ? null : `${filterName}=${quoted(value)}` });
  };
  add('level', line.level);
  add('source', line.source);
  if (timing === null) {
    const known = new Set(fields.map(({ name }) => name));
    for (const { name, value } of pairsOf(bodyOf(line))) {
      if (!known.has(name)) add(name, value);
      known.add(name);
    }
    return fields;
  }
  add('tenant', timing.tenantId);
  add('job', timing.jobId);
  add('kind', timing.kind);
  add('status', timing.status);
  add('error', timing.error);
  add('size', timing.sizeBytes === null ? null : String(timing.sizeBytes));
  if (timing.startedAtMs !== null) add('started', formatMoment(timing.startedAtMs), null);
  return fields;
}

/** A value as a filter term takes it. */
export const quoted = (value: string): string =>
  /^[^\s"]+$/.test(value) ? value : `"${value.replaceAll('"', ' ').trim()}"`;

/** A size in bytes as people say it: 812 B, 45 kB, 1.2 MB. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} B`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1_000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
