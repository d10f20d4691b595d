// A log file, read exactly: the place in it is an inode and an offset, proven by the bytes before the offset.
import { z } from 'zod';
import { HeadwayError } from '../../contract/errors.ts';
import { FrameReader, type Frame } from './frame-reader.ts';
import { LineSplitter } from './line-splitter.ts';
import type { ParsedLine } from './log-events.ts';
import type { InputEnd, InputEvent, InputReader } from './log-input.ts';
import { ownLine, parseLine } from './parse-line.ts';
import type { RemoteEnd } from './remote-run.ts';
import { exitCode, type RemoteScript } from './remote-script.ts';
import { followFile } from './tail-command.ts';

/** Read again at each start, to see that the file still holds what it held. */
const PROOF_BYTES = 256;
/** Shown at the first start, so that the window is not empty. */
const CONTEXT_BYTES = 65_536;
const NEWLINE = 0x0a;

const placeSchema = z.object({
  inode: z.string().regex(/^\d+$/),
  offset: z.int().nonnegative(),
  /** The bytes before `offset`, base64. */
  proof: z.base64(),
});
/** `waiting`: there was no file yet, so that the next one is new from its first byte. */
const keptSchema = z.union([placeSchema, z.literal('waiting')]);

export interface FileInputOptions {
  /** More than this is not caught up with; a gap line tells what was left out. 64 MB unless told otherwise. */
  catchUpBytes?: number;
  /** Seconds between two looks at the file. */
  pollSeconds?: number;
  /** It appeared while it was looked for: all of it counts, not only its end. */
  isNew?: boolean;
}

export class FileInput implements InputReader {
  #path: string;
  #options: Required<FileInputOptions>;
  #frames = new FrameReader();
  #splitter = new LineSplitter();
  /** Where the next byte is expected; null before the first file. */
  #place: { inode: string; offset: number } | null = null;
  /** The last bytes before `offset`, at most PROOF_BYTES. */
  #proof = Buffer.alloc(0);
  /** Behind the last whole line: what a restart can go on from, since an unfinished line is lost with us. */
  #lineEnd: { inode: string; offset: number; proof: Buffer } | null = null;
  /** What the host has yet to repeat before anything new counts. */
  #toProve = Buffer.alloc(0);
  #toLineEnd = false;
  /** Without a place: whether what comes is new from its first byte on, because a file was waited for. */
  #allIsNew = false;
  /** Whether this run has told that it resumed, and whether something was missed before it did. */
  #resumed = false;
  #missed = false;

  constructor(path: string, options: FileInputOptions = {}) {
    this.#path = path;
    this.#options = { catchUpBytes: 64 * 1_048_576, pollSeconds: 0.25, isNew: false, ...options };
    this.#allIsNew = this.#options.isNew;
  }

  begin(): RemoteScript {
    this.#frames = new FrameReader();
    this.#resumed = false;
    this.#toProve = this.#proof;
    const place = this.#place;
    return followFile({
      path: this.#path,
      from:
        place === null
          ? this.#allIsNew
            ? 'start'
            : 'tail'
          : { inode: place.inode, offset: place.offset - this.#proof.length },
      contextBytes: CONTEXT_BYTES,
      ...this.#options,
    });
  }

  *read(chunk: Buffer, nowMs: number): Generator<InputEvent> {
    for (const frame of this.#frames.push(chunk)) {
      let restart = false;
      for (const event of this.#take(frame, nowMs)) {
        yield event;
        restart ||= event.kind === 'restart';
      }
      if (restart) return;
    }
  }

  place(): z.infer<typeof keptSchema> | null {
    if (this.#lineEnd !== null) return { ...this.#lineEnd, proof: this.#lineEnd.proof.toString('base64') };
    return this.#place === null && this.#allIsNew ? 'waiting' : null;
  }

  restore(place: unknown): boolean {
    const { data: kept } = keptSchema.safeParse(place);
    if (kept === undefined) return false;
    if (kept === 'waiting') {
      this.#allIsNew = true;
      return true;
    }
    const { inode, offset } = kept;
    this.#goTo({ inode, offset });
    this.#proof = Buffer.from(kept.proof, 'base64');
    if (this.#proof.length > offset) return false;
    this.#lineEnd = { inode, offset, proof: this.#proof };
    return true;
  }

  ended(end: RemoteEnd, host: string): InputEnd {
    if (end.code === exitCode.unreadable) {
      const message = `${this.#path} on ${host} cannot be read: ${end.stderr}. Give the user the right to read it.`;
      return { state: 'failed', error: new HeadwayError('command-failed', message), retryMs: 10_000 };
    }
    // The file changed under the reader's hand; the next run finds out how.
    if (end.code === exitCode.changed) return { state: 'live', error: null, retryMs: 250 };
    const message = `Following ${this.#path} on ${host} ended with code ${end.code ?? 'none'}: ${end.stderr === '' ? 'no reason given' : end.stderr}`;
    return { state: 'failed', error: new HeadwayError('command-failed', message), retryMs: 10_000 };
  }

  *#take(frame: Frame, nowMs: number): Generator<InputEvent> {
    switch (frame.kind) {
      case 'waiting':
        this.#allIsNew = true;
        yield { kind: 'waiting' };
        return;
      case 'lost':
        yield* this.#gap(
          `${this.#path} was rotated away while it was not read: lines may be missing here`,
          nowMs,
        );
        this.#goTo(null);
        this.#allIsNew = true;
        return;
      case 'truncated':
        yield* this.#gap(
          `${this.#path} was truncated: lines written just before that may be missing here`,
          nowMs,
        );
        this.#goTo({ inode: frame.inode, offset: 0 });
        return;
      case 'skipped':
        yield* this.#gap(
          `${(frame.bytes / 1_048_576).toFixed(1)} MB of ${this.#path} were left out: too much to catch up with`,
          nowMs,
        );
        this.#goTo(null);
        return;
      case 'opened':
        yield* this.#opened(frame, nowMs);
        return;
      case 'data':
        yield* this.#data(frame, nowMs);
    }
  }

  *#opened(frame: Frame & { kind: 'opened' }, nowMs: number): Generator<InputEvent> {
    const { inode, start } = frame;
    const isOurs = this.#place?.inode === inode && start === this.#place.offset - this.#toProve.length;
    if (!isOurs) {
      // The next file of a rotation, or the first one: the last line of the one before will not be finished.
      yield* this.#finishLine(nowMs);
      this.#goTo({ inode, offset: start });
      this.#toLineEnd = start > 0;
      // Where a line begins is not known yet.
      if (start > 0) this.#lineEnd = null;
    }
    if (this.#toProve.length === 0) yield* this.#resume();
  }

  *#data(frame: Frame & { kind: 'data' }, nowMs: number): Generator<InputEvent> {
    let bytes = frame.bytes;
    if (this.#toProve.length > 0) {
      const length = Math.min(bytes.length, this.#toProve.length);
      if (!bytes.subarray(0, length).equals(this.#toProve.subarray(0, length))) {
        yield* this.#gap(`${this.#path} holds other lines than before: some may be missing here`, nowMs);
        this.#goTo({ inode: frame.inode, offset: 0 });
        yield { kind: 'restart' };
        return;
      }
      this.#toProve = this.#toProve.subarray(length);
      if (this.#toProve.length > 0) return;
      yield* this.#resume();
      bytes = bytes.subarray(length);
    }
    // The script opens a file before it sends from it.
    if (this.#place === null || bytes.length === 0) return;
    const lineEnd = bytes.lastIndexOf(NEWLINE) + 1;
    if (lineEnd > 0) {
      const proof = Buffer.concat([
        this.#proof,
        bytes.subarray(Math.max(0, lineEnd - PROOF_BYTES), lineEnd),
      ]).subarray(-PROOF_BYTES);
      this.#lineEnd = { inode: this.#place.inode, offset: this.#place.offset + lineEnd, proof };
    }
    this.#place.offset += bytes.length;
    this.#proof = Buffer.concat([this.#proof, bytes.subarray(-PROOF_BYTES)]).subarray(-PROOF_BYTES);
    if (this.#toLineEnd) {
      const end = bytes.indexOf(NEWLINE);
      if (end < 0) return;
      this.#toLineEnd = false;
      bytes = bytes.subarray(end + 1);
    }
    for (const text of this.#splitter.push(bytes)) yield line(parseLine(text, nowMs));
  }

  *#resume(): Generator<InputEvent> {
    if (this.#resumed) return;
    this.#resumed = true;
    yield { kind: 'resumed', exact: !this.#missed };
    this.#missed = false;
  }

  *#gap(text: string, nowMs: number): Generator<InputEvent> {
    yield* this.#finishLine(nowMs);
    yield line(ownLine('gap', `${text}.`, nowMs));
    if (!this.#resumed) this.#missed = true;
  }

  *#finishLine(nowMs: number): Generator<InputEvent> {
    const unfinished = this.#splitter.flush();
    if (unfinished !== null) yield line(parseLine(unfinished, nowMs));
  }

  #goTo(place: { inode: string; offset: number } | null): void {
    this.#place = place;
    this.#lineEnd = place === null ? null : { ...place, proof: Buffer.alloc(0) };
    this.#proof = Buffer.alloc(0);
    this.#toProve = Buffer.alloc(0);
    this.#toLineEnd = false;
  }
}

function line(parsed: ParsedLine): InputEvent {
  return { kind: 'line', line: parsed };
}
