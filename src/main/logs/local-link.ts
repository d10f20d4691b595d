// The logs of this computer: the scripts of a log host, run by /bin/sh without SSH.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { HeadwayError } from '../../contract/errors.ts';
import type { HostCommand, HostLink } from './host-link.ts';

/** How long a script may take to end by itself before its whole process group is killed. */
const GRACE_MS = 2_000;

export class LocalLink implements HostLink {
  readonly closed: Promise<HeadwayError | null>;
  #close: (reason: null) => void;
  #running = new Set<HostCommand>();

  constructor() {
    const { promise, resolve } = Promise.withResolvers<HeadwayError | null>();
    this.closed = promise;
    this.#close = resolve;
  }

  async exec(command: string): Promise<HostCommand> {
    // A group of its own, so that the end of the script can be made the end of all it started. As on a log host,
    // relative paths begin in the home folder.
    const child = spawn('/bin/sh', ['-c', command], {
      detached: true,
      cwd: homedir(),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    try {
      await once(child, 'spawn');
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HeadwayError('command-failed', `Cannot run /bin/sh on this computer: ${why}`, { cause });
    }
    // Whoever writes to a script that has ended learns it from its end.
    child.stdin.on('error', () => undefined);
    const group = child.pid;
    const signal = (name: NodeJS.Signals) => {
      try {
        if (group !== undefined) process.kill(-group, name);
      } catch {
        // The group has ended by itself.
      }
    };
    let timer: NodeJS.Timeout | null = null;
    const running: HostCommand = {
      output: child.stdout,
      onComplaint: (listener) => child.stderr.on('data', listener),
      ended: once(child, 'close').then(([code]: unknown[]) => {
        this.#running.delete(running);
        // Something in the group may have closed its output and not heeded the request to end.
        if (timer !== null) {
          clearTimeout(timer);
          signal('SIGKILL');
        }
        return typeof code === 'number' ? code : null;
      }),
      send: (text) => child.stdin.write(text),
      end: () => {
        child.stdin.end();
        signal('SIGTERM');
        timer ??= setTimeout(() => signal('SIGKILL'), GRACE_MS);
      },
    };
    this.#running.add(running);
    return running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const running = [...this.#running];
    for (const command of running) {
      command.end();
      // Unread output would keep it from closing.
      command.output.resume();
    }
    await Promise.all(running.map(({ ended }) => ended));
    this.#close(null);
  }
}
