// The fast way through a log whose `[TIMING]` objects all look alike: the keys of one are learnt, and further objects are
// walked byte by byte along them. Whatever is not exactly alike, or not plainly written, is refused and left to the
// parser, so that the meaning of a line is decided in one place (read-timing.ts).
import type { ReportRow, TimingReport } from '../../core/timing-report.ts';
import { stageOf, TENANT_FIELDS, timeOf, type TimingFields } from './read-timing.ts';

/** A learnt object has no more keys than this. */
const MAX_KEYS = 64;
/** Characters of a group's name. */
const MAX_NAME = 200;
/** Rows that are looked up by what groups them. */
const MAX_ROWS = 10_000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const BRACE = 0x7d;
const LETTER_N = 0x6e;
const NULL = Buffer.from('null');

/** What a value is read for. */
type Use = 'nothing' | 'group' | 'tenant' | 'status' | 'error' | 'start' | 'stage';

interface Key {
  /** From the end of the value before it (or the tag) to the beginning of its own: `,"deliver_ms":`. */
  bytes: Uint8Array;
  use: Use;
  /** Place among the durations; -1 for other uses. */
  place: number;
}

/** Powers of ten that are whole doubles: a quotient of whole doubles is rounded once, as JSON's numbers are. */
const POWERS = Array.from({ length: 23 }, (_, power) => 10 ** power);
/** Digits of a number that surely is a whole double. */
const SAFE_DIGITS = 15;

/** One form of object; `add` walks objects of that form into the report. */
export class TimingLayout {
  readonly #report: TimingReport;
  readonly #keys: readonly Key[];
  readonly #stages: readonly string[];
  readonly #durations: Float64Array;
  readonly #rowsByNumber = new Map<number, ReportRow>();
  readonly #rowsByText = new Map<string, ReportRow>();
  readonly #moment = { day: -1, dayMs: 0 };
  /** Of the value last read. */
  #end = 0;
  #number = 0;

  private constructor(report: TimingReport, keys: readonly Key[], stages: readonly string[]) {
    this.#report = report;
    this.#keys = keys;
    this.#stages = stages;
    this.#durations = new Float64Array(stages.length);
  }

  /**
   * The layout of an object that was parsed, with its text (from behind the tag on); null where it cannot be walked. `groupBy` as
   * for TimingScan.
   */
  static of(
    text: string,
    fields: TimingFields,
    groupBy: string | null,
    report: TimingReport,
  ): TimingLayout | null {
    const names = Object.keys(fields);
    const tenant = TENANT_FIELDS.find((name) => name in fields);
    const group = groupBy ?? tenant;
    if (names.length > MAX_KEYS || tenant === undefined) return null;
    if (group === undefined || !names.includes(group)) return null;
    // A log without a total, or with one that comes first, is not worth a way of its own.
    const stageNames = names.filter((name) => name.endsWith('_ms') && name !== 'total_ms');
    if (!names.includes('total_ms') || stageNames.length > MAX_KEYS) return null;
    const keys: Key[] = [];
    let at = 0;
    for (const name of names) {
      const place = name === 'total_ms' ? stageNames.length : stageNames.indexOf(name);
      const end = text.indexOf(`"${name}"`, at) + name.length + 2;
      const value = /^\s*:\s*/.exec(text.slice(end))?.[0].length;
      // Escaped or unusual names would have to be compared in more than one way.
      if (!/^[\w.-]+$/.test(name) || end < at + name.length + 2 || value === undefined) return null;
      keys.push({
        bytes: Buffer.from(text.slice(at, end + value)),
        use: place >= 0 ? 'stage' : useOf(name, group, tenant),
        place,
      });
      const length = valueLength(text, end + value);
      if (length === null) return null;
      at = end + value + length;
    }
    return new TimingLayout(report, keys, [...stageNames.map(stageOf), 'total']);
  }

  /**
   * Walks the object that begins at `from`, behind the tag, and adds it. Answers where it ends, or -1 when it is not of this
   * form: then nothing was added.
   */
  add(bytes: Uint8Array, from: number): number {
    let at = from;
    // Looked up at the end: what is refused must leave no group behind.
    let group: number | string | null = null;
    let status: 'success' | 'error' | 'unsaid' = 'unsaid';
    let hasError = false;
    let startedAtMs: number | null = null;
    for (const { bytes: key, use, place } of this.#keys) {
      const { length } = key;
      for (let i = 0; i < length; i++) if (bytes[at + i] !== key[i]) return -1;
      at += length;
      const first = bytes[at] ?? 0;
      if (first === QUOTE) {
        if (use === 'stage' || !this.#skipText(bytes, at + 1)) return -1;
        const begin = at + 1;
        const end = this.#end;
        at = end + 1;
        if (use === 'group' || use === 'tenant') {
          const text = plainText(bytes, begin, end);
          if (text === null) return -1;
          if (use === 'group') group = text;
        }
        if (use === 'status') status = isSuccess(bytes, begin, end) ? 'success' : 'error';
        else if (use === 'start') startedAtMs = this.#time(bytes, begin, end);
        else if (use === 'error') hasError = true;
      } else if (first === MINUS || (first >= ZERO && first <= NINE)) {
        if (!this.#readNumber(bytes, at)) return -1;
        at = this.#end;
        if (use === 'stage') {
          if (this.#number < 0) return -1;
          this.#durations[place] = this.#number;
        } else if (use === 'group') group = this.#number;
        else if (use !== 'nothing' && use !== 'tenant') return -1;
      } else if (first === LETTER_N) {
        for (let i = 1; i < 4; i++) if (bytes[at + i] !== NULL[i]) return -1;
        at += 4;
        if (use === 'stage' || use === 'group' || use === 'tenant') return -1;
      } else return -1;
    }
    if (bytes[at] !== BRACE || group === null) return -1;
    // What counts as an error's text is a matter of words.
    if (status === 'unsaid' && hasError) return -1;
    const row = typeof group === 'number' ? this.#rowOfNumber(group) : this.#rowOfText(group);
    row.add(status === 'error', startedAtMs, this.#durations);
    return at + 1;
  }

  /** Sets `#end` to the closing quote. False for what must be decoded first. */
  #skipText(bytes: Uint8Array, from: number): boolean {
    const { length } = bytes;
    for (let at = from; at < length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === QUOTE) {
        this.#end = at;
        return true;
      }
      if (byte === BACKSLASH || byte < 0x20) return false;
    }
    return false;
  }

  /** Sets `#number` and `#end`. False for what is not plain decimal notation of few digits. */
  #readNumber(bytes: Uint8Array, from: number): boolean {
    const isNegative = bytes[from] === MINUS;
    const begin = isNegative ? from + 1 : from;
    let at = begin;
    let mantissa = 0;
    let byte = bytes[at] ?? 0;
    while (byte >= ZERO && byte <= NINE) {
      mantissa = mantissa * 10 + (byte - ZERO);
      byte = bytes[++at] ?? 0;
    }
    const whole = at - begin;
    if (whole === 0 || (whole > 1 && bytes[begin] === ZERO)) return false;
    let fraction = 0;
    if (byte === DOT) {
      byte = bytes[++at] ?? 0;
      const point = at;
      while (byte >= ZERO && byte <= NINE) {
        mantissa = mantissa * 10 + (byte - ZERO);
        byte = bytes[++at] ?? 0;
      }
      fraction = at - point;
      if (fraction === 0) return false;
    }
    if (whole + fraction > SAFE_DIGITS || byte === 0x65 || byte === 0x45) return false;
    const value = fraction === 0 ? mantissa : mantissa / (POWERS[fraction] ?? NaN);
    this.#number = isNegative ? -value : value;
    this.#end = at;
    return true;
  }

  #rowOfNumber(id: number): ReportRow {
    return this.#rowsByNumber.get(id) ?? this.#newRow(this.#rowsByNumber, id, String(id));
  }

  #rowOfText(text: string): ReportRow {
    return this.#rowsByText.get(text) ?? this.#newRow(this.#rowsByText, text, text);
  }

  #newRow<Id>(rows: Map<Id, ReportRow>, id: Id, group: string): ReportRow {
    const row = this.#report.row(group, this.#stages);
    if (rows.size < MAX_ROWS) rows.set(id, row);
    return row;
  }

  /** `2026-01-09T12:34:56Z`, with milliseconds or without; anything else as every time is read. */
  #time(bytes: Uint8Array, begin: number, end: number): number | null {
    const length = end - begin;
    const digit = (place: number): number => (bytes[begin + place] ?? 0) - ZERO;
    const two = (place: number): number => digit(place) * 10 + digit(place + 1);
    if ((length !== 24 && length !== 20) || bytes[end - 1] !== 0x5a || bytes[begin + 10] !== 0x54)
      return timeOf(Buffer.from(bytes.buffer, bytes.byteOffset + begin, length).toString('latin1'));
    const year = two(0) * 100 + two(2);
    const day = year * 10_000 + two(5) * 100 + two(8);
    const moment = this.#moment;
    if (moment.day !== day) {
      // Its first time that day is read as every time is: what is no date fails there.
      const text = Buffer.from(bytes.buffer, bytes.byteOffset + begin, 10).toString('latin1');
      moment.dayMs = Date.parse(`${text}T00:00:00Z`);
      moment.day = day;
    }
    const [hour, minute, second] = [two(11), two(14), two(17)];
    const ms = length === 24 ? digit(20) * 100 + digit(21) * 10 + digit(22) : 0;
    const at = moment.dayMs + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    const isPlain = hour < 24 && minute < 60 && second < 60 && ms >= 0 && Number.isFinite(at);
    return isPlain
      ? at
      : timeOf(Buffer.from(bytes.buffer, bytes.byteOffset + begin, length).toString('latin1'));
  }
}

function useOf(name: string, group: string, tenant: string): Use {
  if (name === group) return 'group';
  if (name === tenant) return 'tenant';
  if (name === 'status' || name === 'error') return name;
  return name === 'start_time' ? 'start' : 'nothing';
}

/** Of a number, a text without escapes, or null; null for any other value. */
function valueLength(text: string, from: number): number | null {
  return /^(?:-?\d[\d.]*|"[^"\\]*"|null)/.exec(text.slice(from, from + 10_000))?.[0].length ?? null;
}

/** Null for what is empty, long, or not plain ASCII: what that is called is a matter of words. */
function plainText(bytes: Uint8Array, begin: number, end: number): string | null {
  if (end === begin || end - begin > MAX_NAME) return null;
  let text = '';
  for (let at = begin; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte <= 0x20 || byte >= 0x7f) return null;
    text += String.fromCharCode(byte);
  }
  return text;
}

const SUCCESS = [Buffer.from('success'), Buffer.from('ok')];
function isSuccess(bytes: Uint8Array, begin: number, end: number): boolean {
  return SUCCESS.some((word) => {
    if (word.length !== end - begin) return false;
    for (let i = 0; i < word.length; i++) if (bytes[begin + i] !== word[i]) return false;
    return true;
  });
}
