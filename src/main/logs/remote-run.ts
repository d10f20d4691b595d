// Running a script of tail-command.ts on a host: its output, its complaints, its end.
import type { HostLink } from './host-link.ts';
import { BEGIN, type RemoteScript } from './remote-script.ts';

const MAX_STDERR_LENGTH = 16_384;
const MAX_GREETING_BYTES = 4_096;

export interface RemoteEnd {
  /** Exit code of the script; null when the channel was cut before it told one. */
  code: number | null;
  stderr: string;
}

/** A script that runs. Aborting the signal ends it here and, by the end of its input, on the host. */
export interface RemoteRun {
  /** What it writes after its first line. Not reading holds the host back. */
  output: AsyncIterable<Buffer>;
  /** Settles when the channel is closed and `output` was read to its end, or left. */
  ended: Promise<RemoteEnd>;
}

export async function startRun(
  link: HostLink,
  script: RemoteScript,
  signal: AbortSignal,
): Promise<RemoteRun> {
  const command = await link.exec(script.command);
  let stderr = '';
  const greeting = new Greeting();
  command.onComplaint((chunk) => {
    stderr = (stderr + chunk.toString('utf8')).slice(0, MAX_STDERR_LENGTH);
  });
  const close = () => {
    command.end();
    // Whoever stopped reads no more; unread output would keep it from closing.
    command.output.resume();
  };
  const ended = Promise.all([command.ended, greeting.read]).then(([code]) => {
    signal.removeEventListener('abort', close);
    const begin = stderr.indexOf(`${BEGIN}\n`);
    const ours = begin < 0 ? `${stderr}\n${greeting.refusal}` : stderr.slice(begin + BEGIN.length);
    return { code, stderr: ours.trim() };
  });
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
  command.send(script.script);
  return { output: greeting.leaveOut(command.output), ended };
}

/** Runs a script that ends by itself and answers with a few words. */
export async function runToEnd(
  link: HostLink,
  script: RemoteScript,
  signal: AbortSignal,
): Promise<RemoteEnd & { stdout: string }> {
  const run = await startRun(link, script, signal);
  let stdout = '';
  for await (const chunk of run.output) {
    if (stdout.length < MAX_STDERR_LENGTH) stdout += chunk.toString('utf8');
  }
  return { ...(await run.ended), stdout: stdout.trim() };
}

/** What a login shell prints before our script begins; when it never begins, this is why ("account expired"). */
class Greeting {
  #seen = Buffer.alloc(0);
  #isOver = false;
  #read = Promise.withResolvers<undefined>();

  /** Settles when the output ends or its reader leaves. */
  get read(): Promise<undefined> {
    return this.#read.promise;
  }

  get refusal(): string {
    return this.#isOver ? '' : this.#seen.toString('utf8');
  }

  async *leaveOut(channel: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of channel) {
        // The channel has no encoding set, so that its chunks are buffers.
        const bytes = chunk as Buffer;
        if (this.#isOver) {
          yield bytes;
          continue;
        }
        this.#seen = Buffer.concat([this.#seen, bytes]);
        const begin = this.#seen.indexOf(`${BEGIN}\n`);
        this.#isOver = begin >= 0;
        // Also when nothing follows yet: the reader learns that the script runs.
        if (this.#isOver) yield this.#seen.subarray(begin + BEGIN.length + 1);
        else this.#seen = this.#seen.subarray(-MAX_GREETING_BYTES);
      }
    } catch (error) {
      // A cut connection is an end, and told as one.
      if (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') return;
      throw error;
    } finally {
      this.#read.resolve(undefined);
    }
  }
}
