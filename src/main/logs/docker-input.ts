// A container's log. Docker has no cursor: after a break it is asked from a moment on, and what is known is left out.
import * as crypto from 'node:crypto';
import { z } from 'zod';
import { HeadwayError } from '../../contract/errors.ts';
import { inertText, LineSplitter } from './line-splitter.ts';
import type { InputEnd, InputEvent, InputReader } from './log-input.ts';
import { ownLine, parseLine } from './parse-line.ts';
import type { RemoteEnd } from './remote-run.ts';
import { exitCode, followDocker, type RemoteScript } from './tail-command.ts';

const FIRST_LINES = 500;
/** stdout and stderr of a container are stamped apart, so that stamps may run back a little. */
const OVERLAP_MS = 1_000;
const MAX_REMEMBERED = 20_000;
/** `2026-01-09T12:34:56.123456789Z text`: nine digits always, so that stamps sort as text. */
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/;
const STAMPED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ?/;

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

export class DockerInput implements InputReader {
  #container: string;
  #splitter = new LineSplitter();
  /** The newest lines, oldest first: at least all of the last OVERLAP_MS. */
  #remembered: Stamped[] = [];
  /** How often each known line, or the line with that hash, may come again in this run. */
  #known = new Map<string, number>();
  #knownHashes = new Map<string, number>();
  #newest = '';
  #resumed = false;
  /** What the client itself said last, for the error. */
  #complaint = '';

  constructor(container: string) {
    this.#container = container;
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
    return followDocker(this.#container, since === undefined ? { tail: FIRST_LINES } : { since });
  }

  *read(chunk: Buffer, nowMs: number): Generator<InputEvent> {
    if (!this.#resumed && this.#remembered.length === 0) yield* this.#resume(true);
    for (const raw of this.#splitter.push(chunk)) {
      const stamp = STAMPED.exec(raw);
      if (stamp === null) {
        this.#complaint = inertText(raw, 500);
        continue;
      }
      const [prefix, time = ''] = stamp;
      if (
        takeOne(this.#known, raw) ||
        (this.#knownHashes.size > 0 && takeOne(this.#knownHashes, hash(raw)))
      ) {
        yield* this.#resume(true);
        continue;
      }
      if (!this.#resumed) {
        // Not one known line came back: the container is another one, or its log was rotated meanwhile.
        const text = `The log of ${this.#container} does not go back to where it broke off: lines may be missing here.`;
        yield { kind: 'line', line: ownLine('gap', text, nowMs) };
        yield* this.#resume(false);
      }
      const atMs = Date.parse(time);
      this.#remember({ stamp: time, atMs, line: { raw } });
      yield { kind: 'line', line: parseLine(raw.slice(prefix.length), nowMs, { atMs, level: null }) };
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
    return { state: 'failed', error: dockerError(this.#container, host, end.code, said), retryMs: 10_000 };
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

/** What Docker's refusals mean, and what to do. */
export function dockerError(
  container: string,
  host: string,
  code: number | null,
  said: string,
): HeadwayError {
  if (code === exitCode.commandNotFound) {
    return new HeadwayError(
      'command-failed',
      `docker is not installed on ${host}, or not in the PATH of a login without a terminal.`,
    );
  }
  if (/no such (container|object)/i.test(said)) {
    return new HeadwayError(
      'command-failed',
      `There is no container named ${container} on ${host}. "docker ps -a" there lists them.`,
    );
  }
  if (/permission denied/i.test(said)) {
    return new HeadwayError(
      'command-failed',
      `The user may not talk to Docker on ${host}. Add them to the group "docker", or log in as another user.`,
    );
  }
  return new HeadwayError('command-failed', `docker on ${host} failed with code ${code ?? 'none'}: ${said}`);
}
