// Finds the records of a block that match a plan. The block is looked at in pieces that stay in the processor's cache, as Latin-1: a
// byte is a character, so that nothing is decoded before a record has come far enough.
import { hiddenIn } from './block-index.ts';
import type { SegmentBlock } from './read-segment.ts';
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

/** What is looked for in a block. */
interface Looks {
  /** Leads from line to line; null when every line must be looked at. */
  driver: RegExp | null;
  /** What a line that was come upon must have besides. */
  others: ((line: string) => boolean)[];
}

export class BlockScan {
  readonly #plan: SearchPlan;
  readonly #sources: readonly string[];
  readonly #taken: readonly boolean[];
  readonly #allSources: boolean;
  readonly #range: ScanRange;
  /** By their patterns: blocks differ in which of a clause's alternatives they can have. */
  readonly #known = new Map<string, Looks>();

  constructor(plan: SearchPlan, sources: readonly string[], range: ScanRange) {
    this.#plan = plan;
    this.#sources = sources;
    this.#taken = sources.map((label) => plan.takesSource(label));
    this.#allSources = this.#taken.every(Boolean) && plan.takesSource('(unknown)');
    this.#range = range;
  }

  /** Tells every match among whole records, in order. Ends early when `stopped` says so, which is asked now and then. */
  scan(
    bytes: Buffer,
    index: SegmentBlock['index'],
    stopped: () => boolean,
    tell: (match: Match) => void,
  ): void {
    const bitmap = index?.bitmap ?? null;
    let looks = index === null ? null : this.#looks(bitmap, index.block.hidden);
    for (let from = 0; from < bytes.length;) {
      if (stopped()) return;
      const to = endOfPiece(bytes, from);
      if (index === null) looks = this.#looks(null, hiddenIn(bytes.subarray(from, to)));
      if (looks !== null) this.#piece(bytes, from, to, looks, tell);
      from = to;
    }
  }

  #piece(bytes: Buffer, from: number, to: number, looks: Looks, tell: (match: Match) => void): void {
    const latin1 = bytes.toString('latin1', from, to);
    const { driver } = looks;
    for (let at = 0; at < latin1.length;) {
      let begin = at;
      let seen = at;
      if (driver !== null) {
        driver.lastIndex = at;
        if (!driver.test(latin1)) return;
        seen = driver.lastIndex;
        begin = latin1.lastIndexOf('\n', seen - 1) + 1;
      }
      const newline = latin1.indexOf('\n', seen);
      const end = newline < 0 ? latin1.length : newline;
      const match = this.#match(latin1, begin, end, bytes, from, looks);
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
    looks: Looks,
  ): Match | null {
    if (end - begin < MIN_HEAD || !takesLevel(this.#plan, latin1.charCodeAt(begin + LEVEL_AT))) return null;
    const readAtMs = parseInt(latin1.slice(begin, begin + 9), 36);
    // Also when it is no number.
    if (!(readAtMs >= this.#range.fromMs && readAtMs <= this.#range.toMs)) return null;
    if (looks.others.length > 0) {
      const line = latin1.slice(begin, end);
      if (!looks.others.every((passes) => passes(line))) return null;
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

  #looks(bitmap: Uint8Array | null, hidden: number): Looks {
    const { clauses } = this.#plan;
    const patterns = clauses.map((clause) => patternOf(clause, bitmap, hidden));
    const key = patterns.join('\n');
    let looks = this.#known.get(key);
    if (looks === undefined) {
      looks = {
        driver: patterns[0] === undefined ? null : new RegExp(patterns[0], 'gi'),
        // The driver's own pattern has been seen, and a closer look sees its pattern itself.
        others: clauses.flatMap(({ passes }, i) => {
          const pattern = new RegExp(patterns[i] ?? '', 'i');
          return passes ?? (i === 0 ? [] : (line: string) => pattern.test(line));
        }),
      };
      this.#known.set(key, looks);
    }
    return looks;
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
