// A child process that is known to be ready, whose last words are kept, and that always ends.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ProcessOptions {
  command: string;
  args: string[];
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Asked every 20 ms until true; `output` is what the child has written so far (its last 64 KiB). */
  ready: (child: { pid: number; output: string }) => boolean | Promise<boolean>;
  readyTimeoutMs?: number;
  /** How long it may take to end by itself after `stopSignal` before it gets SIGKILL. */
  stopGraceMs?: number;
  stopSignal?: NodeJS.Signals;
  /** What it gets when this process dies (default SIGKILL). */
  deathSignal?: NodeJS.Signals;
  /** Run as this user of the system (needs root and setpriv): PostgreSQL refuses to run as root. */
  asUser?: string;
}

export interface RunningProcess extends AsyncDisposable {
  readonly pid: number;
  /** The last 64 KiB of stdout and stderr together. */
  readonly output: () => string;
  /** Resolves when the child has ended, for whatever reason. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Asks it to end, then makes it; resolves when it has ended. Calling it again is harmless. */
  stop(): Promise<void>;
  /** Ends it at once, without a chance to tidy up; `signal` is what means that to it (default SIGKILL). */
  kill(signal?: NodeJS.Signals): Promise<void>;
}

const OUTPUT_KEPT = 64 * 1024;

// Children of a process that exits without disposing (a failed assertion at the top level, process.exit).
const living = new Map<ChildProcess, NodeJS.Signals>();
process.on('exit', () => {
  for (const [child, signal] of living) child.kill(signal);
});

/** Starts a process and waits until it is ready; rejects with its last output when it ends or takes too long. */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const [command, args] = tiedToThisProcess(options);
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: options.env ?? process.env,
  });
  living.set(child, options.deathSignal ?? 'SIGKILL');
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_KEPT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);

  const ending = { done: false };
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null) => {
      ending.done = true;
      living.delete(child);
      resolve({ code, signal });
    };
    child.once('error', (error) => {
      output += String(error);
      end(null, null);
    });
    child.once('exit', end);
  });

  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    if (!ending.done) child.kill(signal);
    await exited;
  };
  const stop = async () => {
    if (ending.done) return;
    child.kill(options.stopSignal ?? 'SIGTERM');
    const patience = new AbortController();
    await Promise.race([
      exited,
      sleep(options.stopGraceMs ?? 10_000, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
    await kill();
  };

  const deadline = performance.now() + (options.readyTimeoutMs ?? 30_000);
  for (;;) {
    const reason = ending.done ? 'ended before it was ready' : 'was not ready in time';
    if (ending.done || performance.now() > deadline) {
      await kill();
      throw new Error(`${options.command} ${reason}; its last output:\n${output || '(none)'}`);
    }
    if (child.pid !== undefined && (await options.ready({ pid: child.pid, output }))) break;
    await sleep(20);
  }
  return { pid: child.pid, output: () => output, exited, stop, kill, [Symbol.asyncDispose]: stop };
}

/** On Linux the kernel ends the child when this process dies by SIGKILL, where no exit handler runs. */
function tiedToThisProcess(options: ProcessOptions): [string, string[]] {
  const setpriv = process.platform === 'linux' ? findProgram('setpriv') : null;
  if (setpriv === null) {
    if (options.asUser !== undefined) throw new Error('setpriv is needed to run a server as another user');
    return [options.command, options.args];
  }
  const user = options.asUser;
  const deathSignal = (options.deathSignal ?? 'SIGKILL').slice('SIG'.length);
  const identity = user === undefined ? [] : ['--reuid', user, '--regid', user, '--init-groups'];
  return [setpriv, [...identity, '--pdeathsig', deathSignal, options.command, ...options.args]];
}

/** The path of a program, looked for in PATH and where servers live; null when it is not installed. */
export function findProgram(name: string, ...otherFolders: string[]): string | null {
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...path, '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin', ...otherFolders]) {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** Like `findProgram`, but says what is missing and how to get it. */
export function requireProgram(name: string, hint: string, ...otherFolders: string[]): string {
  const path = findProgram(name, ...otherFolders);
  if (path === null) throw new Error(`${name} is not installed: ${hint}`);
  return path;
}

/** A readiness predicate: something accepts connections on the port. */
export function listensOn(port: number, host = '127.0.0.1'): () => Promise<boolean> {
  return () =>
    new Promise((resolve) => {
      const socket = connect({ port, host });
      const answer = (ok: boolean) => {
        socket.destroy();
        resolve(ok);
      };
      socket.once('connect', () => answer(true));
      socket.once('error', () => answer(false));
    });
}
