// Jobs that are programs: each runs as program.ts runs it, and program-verdict.ts tells what its end means.
import { basename, resolve } from 'node:path';
import type { HandlerSettings, JobKind } from '../../../../contract/job-kinds.ts';
import type { Clock } from '../../clock.ts';
import { type Handler, type HandlerContext, type HandlerJob, type HandlerUse, JobError } from '../handler.ts';
import { deadline } from './deadline.ts';
import { type DeclaredValues, type ReadSecret, resolveValues } from './declared-values.ts';
import { Probe } from './probe.ts';
import type { ProcessWatch } from './process-watch.ts';
import { checkProgram, whyUnstartable } from './program-check.ts';
import { type Expected, failureWith, unreadable, verdictOn } from './program-verdict.ts';
import { type ProgramEnd, runProgram } from './program.ts';

const JSON_LIMIT_BYTES = 1024 * 1024;
/** Of output that nobody asked for: enough for its last line. */
const IDLE_OUTPUT_BYTES = 4 * 1024;
const LAST_WORDS_SECONDS = 5;
const LAST_WORDS_SHARE = 0.05;
const MEGABYTE = 1024 * 1024;
/** What a program is given of our own environment. */
const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ'];

type CommandSettings = Extract<HandlerSettings, { type: 'command' }>;
export type CommandKind = Pick<JobKind, 'kind' | 'timeouts' | 'memory'> & { handler: CommandSettings };

export interface CommandParts {
  /** Of the file that declares the kind: relative paths start here. */
  folder: string;
  secret: ReadSecret;
  clock: Clock;
  processes: ProcessWatch;
}

export class CommandHandler implements Handler {
  readonly kind: string;
  readonly runsIn = 'process';
  readonly #declared: CommandKind;
  readonly #parts: CommandParts;
  readonly #probe: Probe | null;
  readonly #uses = new Map<number, HandlerUse>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor(declared: CommandKind, parts: CommandParts) {
    this.kind = declared.kind;
    this.#declared = declared;
    this.#parts = parts;
    const { probe } = declared.handler;
    this.#probe = probe ? new Probe(parts.clock, () => this.#check(probe)) : null;
  }

  async run(job: HandlerJob, { signal, stage, progress }: HandlerContext): Promise<void> {
    const probe = this.#probe;
    if (probe && !probe.fresh) await stage('probe', () => probe.pass(signal));
    signal.throwIfAborted();
    const { handler, timeouts } = this.#declared;
    const declared = await this.#environment();
    const use: HandlerUse = {
      pid: null,
      memoryBytes: null,
      memoryLimitBytes: this.#memoryLimitBytes,
      loopDelayMs: null,
      restarts: 0,
    };
    const time = scriptTime(timeouts);
    using limit = deadline(this.#parts.clock, time.seconds, signal, this.#closing.signal);
    // Nothing is started that somebody has just stopped waiting for.
    limit.signal.throwIfAborted();
    this.#uses.set(job.id, use);
    const end = await stage('script', () =>
      this.#program(handler.command, declared, job.payload, use, limit.signal),
    ).finally(() => {
      // The same job may run here again while an earlier attempt is still being ended.
      if (this.#uses.get(job.id) === use) this.#uses.delete(job.id);
    });
    const expected: Expected = {
      ...handler,
      name: nameOf(handler.command),
      memoryLimitBytes: this.#memoryLimitBytes,
      late: time.late,
      hide: declared.hide,
    };
    if (end.how === 'aborted' && !limit.passed) throw cutFromOutside(limit.signal.reason, end, expected);
    const failure = verdictOn(end, expected);
    if (failure) throw failure;
    if (handler.output === 'anything') return;
    const problem = unreadable(end, expected);
    if (problem && handler.defaultResult === undefined) throw problem;
    if (problem) progress(1, `${problem.message}; the default result counts`);
  }

  use(jobId: number): HandlerUse | null {
    return this.#uses.get(jobId) ?? null;
  }

  /** Null when its program and its probe can be started; else what is wrong, named. */
  async check(): Promise<string | null> {
    const { command, probe, env } = this.#declared.handler;
    // Secrets are not looked at: PATH is none.
    const plain = Object.entries(env).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    );
    const values = { ...inherited(), ...Object.fromEntries(plain) };
    const problem = await checkProgram(command, this.#cwd, values);
    if (problem !== null || !probe) return problem;
    const sick = await checkProgram(probe, this.#cwd, values);
    return sick && `its probe: ${sick}`;
  }

  /** Ends what runs, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error(`the handler of jobs of kind "${this.kind}" was closed`));
    await Promise.allSettled(this.#running);
  }

  /** The health check: rejects with a JobError when the script is sick. */
  async #check(probe: readonly string[]): Promise<void> {
    const { timeouts } = this.#declared;
    const { probeSeconds, scriptSeconds, jobSeconds } = timeouts;
    const seconds = probeSeconds ?? scriptSeconds ?? jobSeconds;
    const whose = probeSeconds === undefined ? 'of the script' : 'probeSeconds';
    const declared = await this.#environment();
    using limit = deadline(this.#parts.clock, seconds, this.#closing.signal);
    limit.signal.throwIfAborted();
    const end = await this.#program(probe, declared, undefined, null, limit.signal);
    const failure = verdictOn(end, {
      name: `the probe ${nameOf(probe)}`,
      successCodes: [0],
      errorCodes: {},
      output: 'anything',
      memoryLimitBytes: this.#memoryLimitBytes,
      late: `took longer than ${seconds} s (${whose})`,
      hide: declared.hide,
    });
    if (failure) throw failure;
  }

  /** Rejects with a JobError when it cannot be started. */
  async #program(
    command: readonly string[],
    { values }: DeclaredValues,
    payload: unknown,
    use: HandlerUse | null,
    signal: AbortSignal,
  ): Promise<Exclude<ProgramEnd, { how: 'unstartable' }>> {
    const { handler } = this.#declared;
    const reads = use !== null && handler.input === 'payload';
    const writes = use !== null && handler.output === 'json';
    const work = runProgram(
      {
        command,
        cwd: this.#cwd,
        env: values,
        input: reads ? JSON.stringify(payload) : null,
        stdout: writes
          ? { keep: 'first', limitBytes: JSON_LIMIT_BYTES, cut: true }
          : { keep: 'last', limitBytes: IDLE_OUTPUT_BYTES, cut: false },
        memoryLimitBytes: this.#memoryLimitBytes,
      },
      {
        ...this.#parts,
        onStart: (pid) => use && (use.pid = pid),
        onMemory: (bytes) => use && (use.memoryBytes = bytes),
      },
      signal,
    );
    this.#running.add(work);
    const end = await work.finally(() => this.#running.delete(work));
    if (end.how !== 'unstartable') return end;
    // Mostly a program that is just being replaced, or a machine out of processes: no fault of the job.
    throw new JobError('transient', await whyUnstartable(end.error, command, this.#cwd, values));
  }

  async #environment(): Promise<DeclaredValues> {
    const { env } = this.#declared.handler;
    const what = (key: string): string => `the environment variable ${key} of jobs of kind "${this.kind}"`;
    const declared = await resolveValues(env, this.#parts.secret, what);
    return { ...declared, values: { ...inherited(), ...declared.values } };
  }

  get #cwd(): string {
    return resolve(this.#parts.folder, this.#declared.handler.cwd ?? '.');
  }

  get #memoryLimitBytes(): number {
    return this.#declared.memory.limitMegabytes * MEGABYTE;
  }
}

function inherited(): Record<string, string> {
  return Object.fromEntries(
    INHERITED.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * How long the script may run, and in words that it did. Without a time of its own it is ended a little before its job,
 * so that what it says at its end is still heard: a job whose time is up is not waited for.
 */
function scriptTime({ scriptSeconds, jobSeconds }: JobKind['timeouts']): { seconds: number; late: string } {
  if (scriptSeconds !== undefined)
    return { seconds: scriptSeconds, late: `took longer than ${scriptSeconds} s (scriptSeconds)` };
  const seconds = jobSeconds - Math.min(LAST_WORDS_SECONDS, jobSeconds * LAST_WORDS_SHARE);
  return { seconds, late: `was still running when its ${jobSeconds} s (jobSeconds) were nearly up,` };
}

const nameOf = (command: readonly string[]): string => `"${basename(command[0] ?? '')}"`;

/** The reason of an abort, with what the program had to say until then: a job that hung is asked why (incident 3). */
function cutFromOutside(
  reason: unknown,
  end: Exclude<ProgramEnd, { how: 'unstartable' }>,
  { hide }: Expected,
): Error {
  if (reason instanceof JobError) return failureWith(reason.class, reason.message, end, hide);
  return reason instanceof Error ? reason : new Error(String(reason));
}
