// The `[TIMING]` objects of a log, straight from its bytes: for whole files, where a full look at every line would cost
// ten times as much. What a line means is decided by the same rules as for a live line (read-timing.ts).
import type { TimingReport } from '../../core/timing-report.ts';
import { TimingLayout } from './timing-layout.ts';
import { balancedObject, timingFields, type TimingFields } from './read-timing.ts';

const TAG = Buffer.from('[TIMING]');
const NEWLINE = 0x0a;
/** A longer line is left out and counted: a `[TIMING]` object is never that long. */
const MAX_LINE_BYTES = 1_048_576;

/** Reads a log in chunks of any size and adds what it finds to a report. */
export class TimingScan {
  readonly #report: TimingReport;
  readonly #groupBy: string | null;
  /** The form of the last object that had to be parsed. */
  #layout: TimingLayout | null = null;
  /** The unfinished line of the chunks so far; null while the rest of an overlong line is skipped. */
  #rest: Buffer | null = Buffer.alloc(0);

  /** `groupBy`: a field of the object; the tenant when null. */
  constructor(report: TimingReport, groupBy: string | null) {
    this.#report = report;
    this.#groupBy = groupBy;
  }

  /** Takes the next bytes; nothing of `chunk` is kept, it may be used again. */
  push(chunk: Buffer): void {
    const firstEnd = chunk.indexOf(NEWLINE);
    if (firstEnd < 0) {
      this.#keep(chunk);
      return;
    }
    const lastEnd = chunk.lastIndexOf(NEWLINE);
    if (this.#rest === null || this.#rest.length > 0) {
      this.#keep(chunk.subarray(0, firstEnd + 1));
      if (this.#rest !== null) this.#lines(this.#rest);
      if (firstEnd < lastEnd) this.#lines(chunk.subarray(firstEnd + 1, lastEnd + 1));
    } else this.#lines(chunk.subarray(0, lastEnd + 1));
    this.#rest = Buffer.from(chunk.subarray(lastEnd + 1));
    this.#bound();
  }

  /** The last line, when no line end follows it. */
  end(): void {
    if (this.#rest !== null) this.#lines(this.#rest);
    this.#rest = Buffer.alloc(0);
  }

  #keep(part: Buffer): void {
    if (this.#rest === null) return;
    this.#rest = Buffer.concat([this.#rest, part]);
    this.#bound();
  }

  #bound(): void {
    if (this.#rest === null || this.#rest.length <= MAX_LINE_BYTES) return;
    if (this.#rest.includes(TAG)) this.#report.addMalformed();
    this.#rest = null;
  }

  /** Whole lines; those without the tag cost a search for it and no more. */
  #lines(bytes: Buffer): void {
    for (let at = bytes.indexOf(TAG); at >= 0; at = bytes.indexOf(TAG, at)) {
      const begin = at + TAG.length;
      const walked = this.#layout?.add(bytes, begin) ?? -1;
      // The first tag of a line is the one that counts.
      const newline = bytes.indexOf(NEWLINE, walked < 0 ? begin : walked);
      const end = newline < 0 ? bytes.length : newline;
      if (walked < 0) this.#object(bytes.toString('utf8', begin, end));
      at = end;
    }
  }

  #object(text: string): void {
    const fields = parse(text);
    const timing = fields && timingFields(fields);
    if (!timing) {
      this.#report.addMalformed();
      return;
    }
    const group = this.#groupBy === null ? timing.tenantId : groupOf(fields[this.#groupBy]);
    this.#report.add({
      group,
      failed: timing.status === 'error',
      startedAtMs: timing.startedAtMs,
      stages: timing.stages,
    });
    this.#layout = TimingLayout.of(text, fields, this.#groupBy, this.#report);
  }
}

/** The object after the tag. Usually it is all there is to the end of the line; else tags follow it. */
function parse(text: string): TimingFields | null {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    const object = balancedObject(text, 0);
    if (object === null || object.length === text.length) return null;
    try {
      return objectOf(JSON.parse(object));
    } catch {
      return null;
    }
  }
}

function objectOf(value: unknown): TimingFields | null {
  // JSON.parse gives plain data: an object that is no array is a record of names.
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as TimingFields)
    : null;
}

function groupOf(value: unknown): string {
  if (typeof value === 'string') return value;
  return value === undefined ? '(none)' : JSON.stringify(value);
}
