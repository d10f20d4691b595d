// Running a script of tail-command.ts on a host: its output, its complaints, its end.
import type { SshConnection } from './ssh-connection.ts';
import { BEGIN, type RemoteScript } from './tail-command.ts';

const MAX_STDERR_LENGTH = 4_096;
const MAX_GREETING_BYTES = 65_536;

export interface RemoteEnd {
  /** Exit code of the script; null when the channel was cut before it told one. */
  code: number | null;
  stderr: string;
}

/** A script that runs. Aborting the signal ends it here and, by the end of its input, on the host. */
export interface RemoteRun {
  /** What it writes after its first line. Not reading holds the host back. */
  output: AsyncIterable<Buffer>;
  ended: Promise<RemoteEnd>;
}

export async function startRun(
  connection: SshConnection,
  script: RemoteScript,
  signal: AbortSignal,
): Promise<RemoteRun> {
  const channel = await connection.exec(script.command);
  let stderr = '';
  let code: number | null = null;
  channel.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < MAX_STDERR_LENGTH) stderr += chunk.toString('utf8');
  });
  channel.on('exit', (exit: number | null) => (code = exit));
  // A cut connection shows as an end without a code; the connection itself tells why.
  channel.on('error', () => undefined);
  const close = () => {
    channel.close();
    // Whoever stopped reads no more; unread output would keep the channel from closing.
    channel.resume();
  };
  const ended = new Promise<RemoteEnd>((resolve) => {
    channel.once('close', () => {
      signal.removeEventListener('abort', close);
      resolve({ code, stderr: stderr.trim() });
    });
  });
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
  channel.write(script.script);
  return { output: afterGreeting(channel), ended };
}

/** Runs a script that ends by itself and answers with a few words. */
export async function runToEnd(
  connection: SshConnection,
  script: RemoteScript,
  signal: AbortSignal,
): Promise<RemoteEnd & { stdout: string }> {
  const run = await startRun(connection, script, signal);
  let stdout = '';
  for await (const chunk of run.output) {
    if (stdout.length < MAX_STDERR_LENGTH) stdout += chunk.toString('utf8');
  }
  return { ...(await run.ended), stdout: stdout.trim() };
}

/** Leaves out what a login shell prints before our script begins. */
async function* afterGreeting(channel: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  let greeting: Buffer | null = Buffer.alloc(0);
  try {
    for await (const chunk of channel) {
      // The channel has no encoding set, so that its chunks are buffers.
      const bytes = chunk as Buffer;
      if (greeting === null) {
        yield bytes;
        continue;
      }
      greeting = Buffer.concat([greeting, bytes]);
      const begin = greeting.indexOf(`${BEGIN}\n`);
      if (begin >= 0) {
        const rest = greeting.subarray(begin + BEGIN.length + 1);
        greeting = null;
        // Also when it is empty: the reader learns that the script runs.
        yield rest;
      } else if (greeting.length > MAX_GREETING_BYTES) {
        greeting = greeting.subarray(-BEGIN.length);
      }
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') return;
    throw error;
  }
}
