// The `[TIMING] {json}` object of a worker's log line as a timing record.
import type { TimingRecord } from '../../core/timing.ts';
import { inertText } from './line-splitter.ts';

const TAG = '[TIMING]';
const MAX_NAME_LENGTH = 256;
const MAX_ERROR_LENGTH = 2_048;
const MAX_STAGES = 64;
/** Fields that may name the tenant; the first that says something does. */
export const TENANT_FIELDS = ['server_id', 'tenant_id', 'tenant', 'queue'] as const;

export type TimingFound = { record: TimingRecord } | 'none' | 'malformed';
/** A parsed object, of which anything may be wrong. */
export type TimingFields = Record<string, unknown>;

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
    const record = isFields(fields) ? toRecord(fields) : null;
    return record === null ? 'malformed' : { record };
  } catch {
    return 'malformed';
  }
}

/** What times an attempt, and whose it is. */
export interface Timing {
  tenantId: string;
  startedAtMs: number | null;
  status: TimingRecord['status'];
  /** Every duration in the order of the log, the total last. */
  stages: [stage: string, ms: number][];
}

/** The part of a record that reports need, or null where the object is none; the rules are those of `readTiming`. */
export function timingFields(fields: TimingFields): Timing | null {
  const totalMs = number(fields['total_ms']);
  const tenantId = name(fields, ...TENANT_FIELDS);
  if (tenantId === null || totalMs === null || !isDuration(totalMs)) return null;
  const stages: [string, number][] = [];
  for (const field in fields) {
    if (!field.endsWith('_ms') || field === 'total_ms') continue;
    const ms = number(fields[field]);
    if (ms === null) continue;
    if (!isDuration(ms)) return null;
    if (stages.length < MAX_STAGES) stages.push([stageOf(field), ms]);
  }
  stages.push(['total', totalMs]);
  const failed = status(fields['status'], fields['error']);
  return { tenantId, startedAtMs: timeOf(fields['start_time']), status: failed, stages };
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

function isFields(value: unknown): value is TimingFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function toRecord(fields: TimingFields): TimingRecord | null {
  const timing = timingFields(fields);
  const total = timing?.stages.pop();
  if (!timing || !total) return null;
  return {
    tenantId: timing.tenantId,
    jobId: name(fields, 'queue_id', 'message_id', 'job_id'),
    kind: name(fields, 'domain', 'kind'),
    startedAtMs: timing.startedAtMs,
    totalMs: total[1],
    stages: Object.fromEntries(timing.stages),
    status: timing.status,
    error: text(fields['error'], MAX_ERROR_LENGTH),
    sizeBytes: size(fields['message_size']),
  };
}

/** Field names repeat from line to line; a log with ever new ones must not fill the memory. */
const stageNames = new Map<string, string>();
const STAGE_NAMES_KEPT = 1_000;

/** What a field of durations is called: `deliver_ms` is the stage `deliver`. */
export function stageOf(field: string): string {
  const known = stageNames.get(field);
  if (known !== undefined) return known;
  const stage = inertText(field.slice(0, -3), MAX_NAME_LENGTH);
  if (stageNames.size < STAGE_NAMES_KEPT) stageNames.set(field, stage);
  return stage;
}

function isDuration(ms: number): boolean {
  return ms >= 0 && ms < Infinity;
}

/** The first of these fields that says something. */
function name(fields: TimingFields, ...keys: readonly string[]): string | null {
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

/** null for what is no number at all; Infinity and NaN pass, to be refused as durations. */
function number(value: unknown): number | null {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : null;
}

function size(value: unknown): number | null {
  const bytes = number(value);
  return bytes !== null && Number.isFinite(bytes) && bytes >= 0 ? bytes : null;
}

/** An ISO time, or seconds or milliseconds since the epoch. */
export function timeOf(value: unknown): number | null {
  // "2026-…" is no number: to try costs as much as to read it.
  const count = typeof value === 'string' && value[4] === '-' ? null : number(value);
  if (count !== null && Number.isFinite(count)) return count < 1e11 ? count * 1000 : count;
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isFinite(ms) ? ms : null;
}

function status(value: unknown, error: unknown): 'success' | 'error' {
  if (value === 'success' || value === 'ok') return 'success';
  if (value === undefined || value === null)
    return text(error, MAX_ERROR_LENGTH) === null ? 'success' : 'error';
  return 'error';
}
