// A way to run commands where logs are: over SSH, or on this computer.
import type { HeadwayError } from '../../contract/errors.ts';

/** A command that runs there. Ending it ends, by the end of its input, what it started. */
export interface HostCommand {
  /** Not reading holds the command back. Chunks are buffers. */
  output: AsyncIterable<unknown> & { resume(): unknown };
  onComplaint(listener: (chunk: Buffer) => void): void;
  /** Settles when nothing more comes: the exit code; null when the command was cut off before it told one. */
  ended: Promise<number | null>;
  /** Writes to its input, which stays open. */
  send(text: string): void;
  end(): void;
}

export interface HostLink extends AsyncDisposable {
  /** Settles when the link is over, with the reason; null when it ended without a word. */
  readonly closed: Promise<HeadwayError | null>;
  /** @throws HeadwayError when the command cannot be started. */
  exec(command: string): Promise<HostCommand>;
}
