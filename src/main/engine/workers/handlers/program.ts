// Runs one program to its end, whatever it does: the safe subprocess of incident 3. No shell, a session of its own,
// bounded output, one way out. On every path nothing is left: no process, pipe, timer or listener.
//
//   spawn ─▶ runs ─┬─ its leader exits ──────────────▶ stragglers are ended ─┬─▶ pipes are closed ─▶ told
//                  └─ cut: aborted, memory, flood ─▶ SIGTERM, grace, SIGKILL ┘
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Clock } from '../../clock.ts';
import { BoundedOutput, follow } from './bounded-output.ts';
import { ProcessGroup } from './process-group.ts';
import type { ProcessWatch } from './process-watch.ts';

/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 5_000;
/** For what outlives its leader: to end by itself, and again between SIGTERM and SIGKILL. */
const STRAGGLER_MS = 500;
/** For the last output when a process that got away still holds the pipe. */
const DRAIN_MS = 500;
const STDERR_KEPT_BYTES = 64 * 1024;

export interface Program {
  /** The program and its arguments. */
  command: readonly string[];
  cwd: string;
  /** Its whole environment. */
  env: Record<string, string>;
  /** What it reads from standard input; null: nothing. */
  input: string | null;
  /** What is kept of standard output. `cut`: a program that writes more is ended. */
  stdout: { keep: 'first' | 'last'; limitBytes: number; cut: boolean };
  memoryLimitBytes: number;
}

export type ProgramEnd =
  | { how: 'unstartable'; error: NodeJS.ErrnoException }
  | ({ stdout: BoundedOutput; stderr: BoundedOutput } & (
      | { how: 'exited'; code: number }
      | { how: 'killed'; signal: string }
      | { how: 'aborted' }
      | { how: 'memory'; bytes: number }
      | { how: 'flood' }
    ));

type Ending = { how: 'exited'; code: number } | { how: 'killed'; signal: string } | Cut;
type Cut = { how: 'aborted' } | { how: 'memory'; bytes: number } | { how: 'flood' };

export interface ProgramParts {
  clock: Clock;
  processes: ProcessWatch;
  onStart?: (pid: number) => void;
  /** Resident memory of all its processes, about once a second. */
  onMemory?: (bytes: number) => void;
}

/** Never rejects. Resolves when the program and what it started are gone: after an abort within about 7 s. */
export async function runProgram(
  program: Program,
  parts: ProgramParts,
  signal: AbortSignal,
): Promise<ProgramEnd> {
  const { clock, processes } = parts;
  // From the spawn to the guard's knowing of it nothing waits: who kills us in between would leave the program behind.
  processes.prepare();
  const child = start(program);
  if (child instanceof Error) return { how: 'unstartable', error: child };
  if (child.pid === undefined) {
    const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
    return { how: 'unstartable', error };
  }
  const cut = Promise.withResolvers<Cut>();
  const group = new ProcessGroup(child.pid, clock);
  using left = new DisposableStack();
  left.defer(
    processes.watch(group, {
      limitBytes: program.memoryLimitBytes,
      onMemory: (bytes) => parts.onMemory?.(bytes),
      onOver: (bytes) => cut.resolve({ how: 'memory', bytes }),
    }),
  );
  parts.onStart?.(child.pid);
  const ended = endOf(child);
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stdout = new BoundedOutput(program.stdout.keep, program.stdout.limitBytes);
  const stderr = new BoundedOutput('last', STDERR_KEPT_BYTES);

  const onAbort = (): void => cut.resolve({ how: 'aborted' });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  left.defer(() => signal.removeEventListener('abort', onAbort));
  left.defer(() => child.unref());
  left.defer(
    follow(child.stdout, stdout, clock, () => {
      if (program.stdout.cut && stdout.overflown) cut.resolve({ how: 'flood' });
    }),
  );
  left.defer(follow(child.stderr, stderr, clock));
  // A program need not read its input: a broken pipe is no error.
  child.stdin.on('error', () => undefined);
  left.defer(() => child.stdin.destroy());
  child.stdin.end(program.input ?? '');

  const ending: Ending = await Promise.race([ended, cut.promise]);
  if (ending.how === 'exited' || ending.how === 'killed') {
    // Usually both at once: the last output is read, and nothing else is left.
    if (!(await within(clock, STRAGGLER_MS, closed)) || group.mayLive()) await group.end(STRAGGLER_MS);
  } else {
    await group.end(GRACE_MS);
  }
  await within(clock, DRAIN_MS, closed);
  return { ...ending, stdout, stderr };
}

function start({ command, cwd, env }: Program): ChildProcessWithoutNullStreams | NodeJS.ErrnoException {
  const [file = '', ...args] = command;
  try {
    return spawn(file, args, {
      cwd,
      env,
      stdio: 'pipe',
      shell: false,
      windowsHide: true,
      // A session and a group of its own, so that one signal reaches all of it. Windows has no such thing.
      detached: process.platform !== 'win32',
    });
  } catch (error) {
    // Some refusals of the system are thrown: an argument list too long, a NUL in an argument.
    return error as NodeJS.ErrnoException;
  }
}

function endOf(child: ChildProcessWithoutNullStreams): Promise<Ending> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) =>
      resolve(signal === null ? { how: 'exited', code: code ?? 0 } : { how: 'killed', signal }),
    );
    // Of a program that runs: a signal that could not be sent. How it ends is told by its exit.
    child.on('error', () => undefined);
  });
}

/** Whether `what` came within `ms`. */
async function within(clock: Clock, ms: number, what: Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<false>();
  const takeBack = clock.after(ms, () => late.resolve(false));
  const came = await Promise.race([what.then(() => true), late.promise]);
  takeBack();
  return came;
}
