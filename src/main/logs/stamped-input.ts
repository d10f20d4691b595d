// A log whose lines are stamped by their carrier (Docker, Kubernetes). It has no cursor: after a break it is asked from a
// moment on, and what is known is left out.
import * as crypto from 'node:crypto';
import { z } from 'zod';
import type { HeadwayError } from '../../contract/errors.ts';
import { inertText, LineSplitter } from './line-splitter.ts';
import type { InputEnd, InputEvent, InputReader } from './log-input.ts';
import { ownLine, parseLine } from './parse-line.ts';
import type { RemoteEnd } from './remote-run.ts';
import type { RemoteScript } from './remote-script.ts';

const FIRST_LINES = 500;
/** Of a log that is new from its first line on: all, but not without a bound. */
const NEW_LINES = 50_000;
/** stdout and stderr of a container are stamped apart, so that stamps may run back a little. */
const OVERLAP_MS = 1_000;
const MAX_REMEMBERED = 20_000;
/** Nine digits and UTC always, so that stamps sort as text. */
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;

/** Kept over restarts are hashes: enough to know a line again, and no log is stored where none is expected. */
const MAX_KEPT = 5_000;
const placeSchema = z
  .array(z.tuple([z.string().regex(STAMP), z.string().regex(/^[\w-]{16}$/)]))
  .min(1)
  .max(MAX_KEPT);

interface Stamped {
  stamp: string;
  atMs: number;
  /** The whole line, or its hash when it was read before a restart. */
  line: { raw: string } | { hash: string };
}

/** What is particular to Docker or to Kubernetes. */
export interface StampedCarrier {
  /** How a sentence calls the log's owner. */
  name: string;
  /** The newest `tail` lines, or all from a moment on: the moment itself included, and earlier ones do no harm. */
  follow(from: { since: string } | { tail: number }): RemoteScript;
  /** Takes a line apart; null for a word of the client itself. The stamp is as STAMP has it. */
  read(raw: string): { stamp: string; text: string } | null;
  error(host: string, code: number | null, said: string): HeadwayError;
}

export class StampedInput implements InputReader {
  #carrier: StampedCarrier;
  #isNew: boolean;
  #splitter = new LineSplitter();
  /** The newest lines, oldest first: at least all of the last OVERLAP_MS. */
  #remembered: Stamped[] = [];
  /** How often each known line, or the line with that hash, may come again in this run. */
  #known = new Map<string, number>();
  #knownHashes = new Map<string, number>();
  #newest = '';
  /** The oldest stamp that this run was asked for; older lines are known, whoever cuts the moment down. */
  #since = '';
  #resumed = false;
  /** What the client itself said last, for the error. */
  #complaint = '';

  /** `isNew`: its owner appeared while it was looked for, so that all it has said counts. */
  constructor(carrier: StampedCarrier, { isNew }: { isNew: boolean } = { isNew: false }) {
    this.#carrier = carrier;
    this.#isNew = isNew;
  }

  begin(): RemoteScript {
    // The unfinished line comes again as a whole.
    this.#splitter = new LineSplitter();
    this.#resumed = false;
    this.#complaint = '';
    this.#known = new Map();
    this.#knownHashes = new Map();
    for (const { line } of this.#remembered) {
      if ('raw' in line) count(this.#known, line.raw);
      else count(this.#knownHashes, line.hash);
    }
    // Stamps may run back, so the oldest one is not always the first.
    const since = this.#remembered.map(({ stamp }) => stamp).sort()[0];
    this.#since = since ?? '';
    if (since !== undefined) return this.#carrier.follow({ since });
    return this.#carrier.follow({ tail: this.#isNew ? NEW_LINES : FIRST_LINES });
  }

  *read(chunk: Buffer, nowMs: number): Generator<InputEvent> {
    if (!this.#resumed && this.#remembered.length === 0) yield* this.#resume(true);
    for (const raw of this.#splitter.push(chunk)) {
      const stamped = this.#carrier.read(raw);
      if (stamped === null) {
        this.#complaint = inertText(raw, 500);
        continue;
      }
      const { stamp, text } = stamped;
      if (stamp < this.#since) continue;
      if (
        takeOne(this.#known, raw) ||
        (this.#knownHashes.size > 0 && takeOne(this.#knownHashes, hash(raw)))
      ) {
        yield* this.#resume(true);
        continue;
      }
      if (!this.#resumed) {
        // Not one known line came back: the container is another one, or its log was rotated meanwhile.
        const gap = `The log of ${this.#carrier.name} does not go back to where it broke off: lines may be missing here.`;
        yield { kind: 'line', line: ownLine('gap', gap, nowMs) };
        yield* this.#resume(false);
      }
      const atMs = Date.parse(stamp);
      this.#remember({ stamp, atMs, line: { raw } });
      yield { kind: 'line', line: parseLine(text, nowMs, { atMs, level: null }) };
    }
  }

  place(): z.infer<typeof placeSchema> | null {
    const from = Date.parse(this.#newest) - OVERLAP_MS;
    let kept = this.#remembered.filter(({ atMs }) => atMs >= from);
    if (kept.length > MAX_KEPT) {
      const stamp = kept.at(-MAX_KEPT)?.stamp ?? '';
      kept = kept.filter((entry) => entry.stamp > stamp);
    }
    if (kept.length === 0) return null;
    return kept.map(({ stamp, line }) => [stamp, 'raw' in line ? hash(line.raw) : line.hash]);
  }

  restore(place: unknown): boolean {
    const { data: kept } = placeSchema.safeParse(place);
    if (kept === undefined) return false;
    for (const [stamp, hashed] of kept) {
      this.#remember({ stamp, atMs: Date.parse(stamp), line: { hash: hashed } });
    }
    return true;
  }

  ended(end: RemoteEnd, host: string): InputEnd {
    const said = [end.stderr, this.#complaint].filter((words) => words !== '').join('; ');
    if (end.code === 0) return { state: 'waiting-for-file', error: null, retryMs: 2_000 };
    return { state: 'failed', error: this.#carrier.error(host, end.code, said), retryMs: 10_000 };
  }

  *#resume(exact: boolean): Generator<InputEvent> {
    if (this.#resumed) return;
    this.#resumed = true;
    yield { kind: 'resumed', exact };
  }

  #remember(entry: Stamped): void {
    if (entry.stamp > this.#newest) this.#newest = entry.stamp;
    this.#remembered.push(entry);
    const lines = this.#remembered;
    if (lines.length % 256 !== 0 && lines.length < MAX_REMEMBERED) return;
    const from = Date.parse(this.#newest) - OVERLAP_MS;
    let drop = lines.findIndex((line) => line.atMs >= from);
    if (lines.length - drop >= MAX_REMEMBERED) {
      // Lines of one moment go together, or the rest of them would come again as new.
      const stamp = lines[lines.length - MAX_REMEMBERED / 2]?.stamp ?? '';
      drop = lines.findIndex((line) => line.stamp > stamp);
    }
    if (drop > 0) this.#remembered = lines.slice(drop);
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Whether there was one left of it. */
function takeOne(counts: Map<string, number>, key: string): boolean {
  const left = counts.get(key) ?? 0;
  if (left > 1) counts.set(key, left - 1);
  else counts.delete(key);
  return left > 0;
}

function hash(raw: string): string {
  return crypto.hash('sha1', raw, 'base64url').slice(0, 16);
}
