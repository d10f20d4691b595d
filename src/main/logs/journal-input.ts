// A unit of systemd's journal, one JSON object an entry; an entry's cursor is the place to go on from.
import { z } from 'zod';
import { HeadwayError } from '../../contract/errors.ts';
import type { LogLevel } from '../../contract/logs.ts';
import { inertText, LineSplitter } from './line-splitter.ts';
import type { InputEnd, InputEvent, InputReader } from './log-input.ts';
import { ownLine, parseLine } from './parse-line.ts';
import type { RemoteEnd } from './remote-run.ts';
import { exitCode, type RemoteScript } from './remote-script.ts';
import { followJournal } from './tail-command.ts';

const FIRST_LINES = 500;

/** systemd.journal-fields(7); a message that is no UTF-8 comes as a list of bytes, a too large one as null. */
const entrySchema = z.object({
  __CURSOR: z.string(),
  __REALTIME_TIMESTAMP: z.string().regex(/^\d+$/).optional(),
  MESSAGE: z.union([z.string(), z.array(z.int().min(0).max(255)), z.null()]).optional(),
  PRIORITY: z.string().optional(),
});
type Entry = z.infer<typeof entrySchema>;

export class JournalInput implements InputReader {
  #unit: string;
  #splitter = new LineSplitter();
  #cursor: string | null = null;
  #resumed = false;

  constructor(unit: string) {
    this.#unit = unit;
  }

  begin(): RemoteScript {
    this.#splitter = new LineSplitter();
    this.#resumed = false;
    return followJournal(
      this.#unit,
      this.#cursor === null ? { tail: FIRST_LINES } : { cursor: this.#cursor },
    );
  }

  *read(chunk: Buffer, nowMs: number): Generator<InputEvent> {
    if (this.#cursor === null && !this.#resumed) yield* this.#resume(true);
    for (const text of this.#splitter.push(chunk)) {
      const entry = readEntry(text);
      if (entry === null) continue;
      if (!this.#resumed) {
        // The entry of the cursor comes first, when the journal still has it.
        const exact = entry.__CURSOR === this.#cursor;
        if (!exact) {
          const gap = `The journal does not go back to where it broke off: lines of ${this.#unit} may be missing here.`;
          yield { kind: 'line', line: ownLine('gap', gap, nowMs) };
        }
        yield* this.#resume(exact);
        if (exact) continue;
      }
      this.#cursor = entry.__CURSOR;
      const micros = entry.__REALTIME_TIMESTAMP;
      const carried = {
        atMs: micros === undefined ? null : Math.floor(Number(micros) / 1000),
        level: priorityLevel(entry.PRIORITY),
      };
      for (const line of message(entry).split('\n')) {
        yield { kind: 'line', line: parseLine(line, nowMs, carried) };
      }
    }
  }

  place(): string | null {
    return this.#cursor;
  }

  restore(place: unknown): boolean {
    if (typeof place !== 'string' || place === '') return false;
    this.#cursor = place;
    return true;
  }

  ended(end: RemoteEnd, host: string): InputEnd {
    return { state: 'failed', error: journalError(host, end.code, end.stderr), retryMs: 10_000 };
  }

  *#resume(exact: boolean): Generator<InputEvent> {
    this.#resumed = true;
    yield { kind: 'resumed', exact };
  }
}

/** What journalctl's refusals mean, and what to do. */
export function journalError(host: string, code: number | null, said: string): HeadwayError {
  if (code === exitCode.commandNotFound) {
    return new HeadwayError(
      'command-failed',
      `${host} has no journalctl: it does not run systemd. Name a file instead.`,
    );
  }
  if (/permission|insufficient/i.test(said)) {
    return new HeadwayError(
      'command-failed',
      `The user may not read the journal on ${host}. Add them to the group "systemd-journal".`,
    );
  }
  return new HeadwayError(
    'command-failed',
    `journalctl on ${host} ended with code ${code ?? 'none'}: ${said}`,
  );
}

function readEntry(text: string): Entry | null {
  try {
    return entrySchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

function message(entry: Entry): string {
  const { MESSAGE } = entry;
  if (typeof MESSAGE === 'string') return MESSAGE;
  return Array.isArray(MESSAGE)
    ? Buffer.from(MESSAGE).toString('utf8')
    : inertText('[message left out by the journal]');
}

function priorityLevel(priority: string | undefined): LogLevel | null {
  if (priority === undefined || !/^[0-7]$/.test(priority)) return null;
  const number = Number(priority);
  if (number <= 3) return 'error';
  if (number === 4) return 'warn';
  return number === 7 ? 'debug' : 'info';
}
