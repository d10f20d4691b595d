// A container's log. Docker has no cursor: after a break it is asked from a moment on, and what is known is left out.
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
const STAMPED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ?/;

interface Stamped {
  stamp: string;
  atMs: number;
  raw: string;
}

export class DockerInput implements InputReader {
  #container: string;
  #splitter = new LineSplitter();
  /** The newest lines, oldest first: at least all of the last OVERLAP_MS. */
  #remembered: Stamped[] = [];
  /** How often each known line may come again in this run. */
  #known = new Map<string, number>();
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
    for (const { raw } of this.#remembered) this.#known.set(raw, (this.#known.get(raw) ?? 0) + 1);
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
      const again = this.#known.get(raw) ?? 0;
      if (again > 0) {
        this.#known.set(raw, again - 1);
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
      this.#remember({ stamp: time, atMs, raw });
      yield { kind: 'line', line: parseLine(raw.slice(prefix.length), nowMs, { atMs, level: null }) };
    }
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
