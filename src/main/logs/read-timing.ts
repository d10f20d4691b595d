// The `[TIMING] {json}` object of a worker's log line as a timing record.
import { timingRecordSchema, type TimingRecord } from '../../core/timing.ts';
import { inertText } from './line-splitter.ts';

const TAG = '[TIMING]';
const MAX_NAME_LENGTH = 256;
const MAX_ERROR_LENGTH = 2_048;
const MAX_STAGES = 64;

export type TimingFound = { record: TimingRecord } | 'none' | 'malformed';

/**
 * Reads the record after the first `[TIMING]` of a line. Never throws. Every `*_ms` number is a stage, in the order
 * of the log, but `total_ms`; numbers written as strings count as numbers. Without a tenant and a total that is a
 * number of at least 0 there is no record.
 */
export function readTiming(line: string): TimingFound {
  const tag = line.indexOf(TAG);
  if (tag < 0) return 'none';
  const json = balancedObject(line, tag + TAG.length);
  if (json === null) return 'malformed';
  try {
    const fields: unknown = JSON.parse(json);
    if (!isFields(fields)) return 'malformed';
    const record = timingRecordSchema.safeParse(toRecord(fields));
    return record.success ? { record: record.data } : 'malformed';
  } catch {
    return 'malformed';
  }
}

/** The one `{…}` that begins at `from` (blanks aside), to its own closing brace: tags may follow it. */
export function balancedObject(text: string, from: number): string | null {
  let start = from;
  while (text[start] === ' ' || text[start] === '\t') start += 1;
  if (text[start] !== '{') return null;
  let depth = 0;
  let quoted = false;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '{') depth += 1;
    else if (character === '}') {
      depth -= 1;
      if (depth === 0) return text.slice(start, at + 1);
    }
  }
  return null;
}

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the schema is to judge: anything may still be wrong in it. */
function toRecord(fields: Fields): unknown {
  const stages = Object.entries(fields)
    .filter(([name]) => name.endsWith('_ms') && name !== 'total_ms')
    .map(([name, value]) => [inertText(name.slice(0, -3), MAX_NAME_LENGTH), number(value)] as const)
    .filter(([, ms]) => ms !== null)
    .slice(0, MAX_STAGES);
  const error = text(fields['error'], MAX_ERROR_LENGTH);
  return {
    tenantId: name(fields, 'server_id', 'tenant_id', 'tenant', 'queue'),
    jobId: name(fields, 'queue_id', 'message_id', 'job_id'),
    kind: name(fields, 'domain', 'kind'),
    startedAtMs: time(fields['start_time']),
    totalMs: number(fields['total_ms']),
    stages: Object.fromEntries(stages),
    status: status(fields['status'], error),
    error,
    sizeBytes: size(fields['message_size']),
  };
}

/** The first of these fields that says something. */
function name(fields: Fields, ...keys: string[]): string | null {
  for (const key of keys) {
    const value = text(fields[key], MAX_NAME_LENGTH);
    if (value !== null) return value;
  }
  return null;
}

function text(value: unknown, maxLength: number): string | null {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string') return null;
  const clean = inertText(value, maxLength).trim();
  return clean === '' ? null : clean;
}

/** null for what is no number at all; Infinity and NaN pass, for the schema to refuse. */
function number(value: unknown): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : null;
}

function size(value: unknown): number | null {
  const bytes = number(value);
  return bytes !== null && Number.isFinite(bytes) && bytes >= 0 ? bytes : null;
}

/** An ISO time, or seconds or milliseconds since the epoch. */
function time(value: unknown): number | null {
  const count = number(value);
  if (count !== null && Number.isFinite(count)) return count < 1e11 ? count * 1000 : count;
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isFinite(ms) ? ms : null;
}

function status(value: unknown, error: string | null): 'success' | 'error' {
  if (value === 'success' || value === 'ok') return 'success';
  if (value === undefined || value === null) return error === null ? 'success' : 'error';
  return 'error';
}
