// A program with all that it starts, as one thing that can be ended. It runs in a session of its own, so that one signal
// reaches the whole group; what left the group is found in the process table.
import { execFile } from 'node:child_process';
import type { Clock } from '../../clock.ts';
import { processesOf, type ProcessRow, readProcesses } from './process-table.ts';

/** After SIGKILL only the kernel can hold a process; it is not waited for longer than this. */
const KILL_WAIT_MS = 2_000;
const LOOK_MS = { first: 5, longest: 200 };

export class ProcessGroup {
  /** Of its leader, and the number of the group. */
  readonly pid: number;
  readonly #clock: Clock;
  /** Processes of the program at the last look: start by number. */
  #known = new Map<number, string>();

  /** `pid` must lead a group of its own. */
  constructor(pid: number, clock: Clock) {
    this.pid = pid;
    this.#clock = clock;
  }

  /** Its living processes among all; those are known from now on, wherever they go. */
  see(rows: readonly ProcessRow[]): ProcessRow[] {
    const mine = processesOf(rows, this.pid, this.#known);
    this.#known = new Map(mine.map(({ pid, startedAt }) => [pid, startedAt]));
    return mine;
  }

  /** False: nothing is left of it. True: something may be; `end` looks closer. Costs a system call or two. */
  mayLive(): boolean {
    return exists(-this.pid) || [...this.#known.keys()].some((pid) => pid !== this.pid && exists(pid));
  }

  /**
   * SIGTERM, then after `graceMs` SIGKILL to every process of the program. Resolves when none is left; also when one
   * is left that even SIGKILL does not end (it hangs in the kernel, or belongs to another user).
   */
  async end(graceMs: number): Promise<void> {
    await this.#signal('SIGTERM');
    if (await this.#goneWithin(graceMs, null)) return;
    await this.#signal('SIGKILL');
    // What was forked meanwhile is ended as it is found.
    await this.#goneWithin(KILL_WAIT_MS, 'SIGKILL');
  }

  async #signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (process.platform === 'win32') return endTree(this.pid);
    // First what needs no look at the table: it must not fork meanwhile.
    send(-this.pid, signal);
    for (const { pid, group } of await this.#left()) if (group !== this.pid) send(pid, signal);
  }

  async #goneWithin(ms: number, again: 'SIGKILL' | null): Promise<boolean> {
    const untilMs = this.#clock.now() + ms;
    for (let lookMs = LOOK_MS.first; ; lookMs = Math.min(LOOK_MS.longest, lookMs * 2)) {
      if (!this.mayLive()) return true;
      const left = await this.#left();
      if (left.length === 0 && process.platform !== 'win32') return true;
      if (again) for (const { pid } of left) send(pid, again);
      const remainingMs = untilMs - this.#clock.now();
      if (remainingMs <= 0) return false;
      await new Promise<void>((resolve) => this.#clock.after(Math.min(lookMs, remainingMs), resolve));
    }
  }

  async #left(): Promise<ProcessRow[]> {
    try {
      return this.see(await readProcesses());
    } catch {
      // No table to be had (no `ps`, no memory): the group alone is signalled.
      return exists(-this.pid) ? [{ ...UNSEEN, pid: this.pid, group: this.pid, session: this.pid }] : [];
    }
  }
}

const UNSEEN = { parent: 0, zombie: false, startedAt: '', rssBytes: null };

/** A process, or with a negative number a group; zombies count. One that may not be signalled is there too. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already, or not ours to end: the look that follows tells.
  }
}

/** Windows knows no groups and no SIGTERM: the tree is ended at once. */
function endTree(pid: number): Promise<void> {
  return new Promise((resolve) => {
    execFile('taskkill', ['/pid', String(pid), '/T', '/F'], { windowsHide: true }, () => resolve());
  });
}
