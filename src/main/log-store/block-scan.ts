// Finds the records of a block that match a plan. The block is looked at in pieces that stay in the processor's cache, as Latin-1: a
// byte is a character, so that nothing is decoded before a record has come far enough.
import { hiddenIn } from './block-index.ts';
import { LEVEL_AT, MIN_HEAD } from './record.ts';
import { patternOf, takesLevel, type SearchPlan } from './search-plan.ts';
import { StoredText } from './stored-text.ts';

const PIECE_BYTES = 65_536;
const NEWLINE = 0x0a;

export interface Match {
  /** From the beginning of the bytes that were looked at. */
  offset: number;
  /** Without the line end. */
  end: number;
  readAtMs: number;
  isError: boolean;
}

export interface ScanRange {
  /** When lines were read, both ends included. */
  fromMs: number;
  toMs: number;
}

export class BlockScan {
  readonly #plan: SearchPlan;
  readonly #sources: readonly string[];
  readonly #taken: readonly boolean[];
  readonly #allSources: boolean;
  readonly #range: ScanRange;
  readonly #drivers = new Map<number, RegExp>();
  readonly #others = new Map<number, { pattern: RegExp; passes: ((line: string) => boolean) | null }[]>();

  constructor(plan: SearchPlan, sources: readonly string[], range: ScanRange) {
    this.#plan = plan;
    this.#sources = sources;
    this.#taken = sources.map((label) => plan.takesSource(label));
    this.#allSources = this.#taken.every(Boolean) && plan.takesSource('(unknown)');
    this.#range = range;
  }

  /**
   * Tells every match among whole records, in order. `hidden`: what hides there, null when nobody knows. Ends early when `stopped`
   * says so, which is asked now and then.
   */
  scan(bytes: Buffer, hidden: number | null, stopped: () => boolean, tell: (match: Match) => void): void {
    for (let from = 0; from < bytes.length;) {
      if (stopped()) return;
      const to = endOfPiece(bytes, from);
      this.#piece(bytes, from, to, hidden ?? hiddenIn(bytes.subarray(from, to)), tell);
      from = to;
    }
  }

  #piece(bytes: Buffer, from: number, to: number, hidden: number, tell: (match: Match) => void): void {
    const latin1 = bytes.toString('latin1', from, to);
    const driver = this.#driver(hidden);
    for (let at = 0; at < latin1.length;) {
      let begin = at;
      if (driver !== null) {
        driver.lastIndex = at;
        if (!driver.test(latin1)) return;
        begin = latin1.lastIndexOf('\n', driver.lastIndex - 1) + 1;
      }
      const newline = latin1.indexOf('\n', driver === null ? begin : driver.lastIndex);
      const end = newline < 0 ? latin1.length : newline;
      const match = this.#match(latin1, begin, end, bytes, from, hidden);
      if (match !== null) tell(match);
      at = end + 1;
    }
  }

  #match(
    latin1: string,
    begin: number,
    end: number,
    bytes: Buffer,
    from: number,
    hidden: number,
  ): Match | null {
    if (end - begin < MIN_HEAD || !takesLevel(this.#plan, latin1.charCodeAt(begin + LEVEL_AT))) return null;
    const readAtMs = parseInt(latin1.slice(begin, begin + 9), 36);
    // Also when it is no number.
    if (!(readAtMs >= this.#range.fromMs && readAtMs <= this.#range.toMs)) return null;
    const others = this.#othersFor(hidden);
    if (others.length > 0) {
      const line = latin1.slice(begin, end);
      for (const { pattern, passes } of others)
        if (!pattern.test(line) || passes?.(line) === false) return null;
    }
    const record = StoredText.of(latin1, begin, end, bytes, from, this.#sources);
    if (record === null || !this.#takes(record)) return null;
    return { offset: from + begin, end: from + end, readAtMs, isError: record.level === 'error' };
  }

  #takes(record: StoredText): boolean {
    if (!this.#allSources && !(this.#taken[record.head.source] ?? this.#plan.takesSource(record.source)))
      return false;
    return !this.#plan.looksAtText || this.#plan.filter.matches(record);
  }

  /** What leads from match to match; null when every line must be looked at. */
  #driver(hidden: number): RegExp | null {
    const clause = this.#plan.clauses[0];
    if (clause === undefined) return null;
    let driver = this.#drivers.get(hidden);
    if (driver === undefined)
      this.#drivers.set(hidden, (driver = new RegExp(patternOf(clause, hidden), 'gi')));
    return driver;
  }

  /** What a line that was come upon must have besides: the second looks, and the other clauses. */
  #othersFor(hidden: number): { pattern: RegExp; passes: ((line: string) => boolean) | null }[] {
    let others = this.#others.get(hidden);
    if (others === undefined) {
      others = this.#plan.clauses
        .map((clause) => ({ pattern: new RegExp(patternOf(clause, hidden), 'i'), passes: clause.passes }))
        // The driver's own pattern has been seen.
        .filter(({ passes }, i) => i > 0 || passes !== null);
      this.#others.set(hidden, others);
    }
    return others;
  }
}

/** The line end nearest before a piece's length, or the first after it. */
function endOfPiece(bytes: Buffer, from: number): number {
  if (bytes.length - from <= PIECE_BYTES) return bytes.length;
  const before = bytes.lastIndexOf(NEWLINE, from + PIECE_BYTES - 1);
  if (before >= from) return before + 1;
  const after = bytes.indexOf(NEWLINE, from + PIECE_BYTES);
  return after < 0 ? bytes.length : after + 1;
}
