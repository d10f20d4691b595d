// The lines that a program writes. It has no place to go on from: each start is a new one, and says so.
import { HeadwayError } from '../../contract/errors.ts';
import { LineSplitter } from './line-splitter.ts';
import type { InputEnd, InputEvent, InputReader } from './log-input.ts';
import { ownLine, parseLine } from './parse-line.ts';
import type { RemoteEnd } from './remote-run.ts';
import { exitCode, type RemoteScript } from './remote-script.ts';
import { followCommand } from './tail-command.ts';

const BACKOFF_BASE_MS = 1_000;
const BACKOFF_CAP_MS = 60_000;
/** A program that ran for so long starts the back-off anew. */
const STABLE_MS = 60_000;
/** What `place()` tells: only that it ran. */
const RAN = 'ran';

export class CommandInput implements InputReader {
  #command: string[];
  #now: () => number;
  #splitter = new LineSplitter();
  #ranBefore = false;
  #resumed = false;
  #startedAtMs = 0;
  #ends = 0;

  constructor(command: string[], now: () => number) {
    this.#command = command;
    this.#now = now;
  }

  begin(): RemoteScript {
    this.#resumed = false;
    this.#startedAtMs = this.#now();
    return followCommand(this.#command);
  }

  *read(chunk: Buffer, nowMs: number): Generator<InputEvent> {
    if (!this.#resumed) {
      this.#resumed = true;
      // What the last run did not finish.
      const unfinished = this.#splitter.flush();
      if (unfinished !== null) yield { kind: 'line', line: parseLine(unfinished, nowMs) };
      if (this.#ranBefore) {
        const gap = `${this.#name} was started again: what it wrote meanwhile is missing, or comes twice.`;
        yield { kind: 'line', line: ownLine('gap', gap, nowMs) };
      }
      yield { kind: 'resumed', exact: !this.#ranBefore };
      this.#ranBefore = true;
    }
    for (const text of this.#splitter.push(chunk)) yield { kind: 'line', line: parseLine(text, nowMs) };
  }

  place(): string | null {
    return this.#ranBefore ? RAN : null;
  }

  restore(place: unknown): boolean {
    this.#ranBefore = place === RAN;
    return this.#ranBefore;
  }

  ended(end: RemoteEnd, host: string): InputEnd {
    if (this.#now() - this.#startedAtMs > STABLE_MS) this.#ends = 0;
    const retryMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** this.#ends);
    this.#ends = Math.min(this.#ends + 1, 16);
    const said = end.stderr === '' ? '' : `: ${end.stderr}`;
    const message =
      end.code === exitCode.commandNotFound
        ? `${this.#name} is not there on ${host}, or not in the PATH of a login without a terminal${said}.`
        : `${this.#name} on ${host} ended with code ${end.code ?? 'none'}${said}. It is started again after ${retryMs / 1000} s.`;
    return { state: 'failed', error: new HeadwayError('command-failed', message), retryMs };
  }

  get #name(): string {
    return `The command ${this.#command[0] ?? ''}`;
  }
}
