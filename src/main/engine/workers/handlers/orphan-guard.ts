// Ends the programs of a process that died without a word (kill -9, out of memory): nothing of ours would do it then.
// A shell waits at the end of a pipe whose other end only we hold. When we are gone, for whatever reason, the pipe ends,
// and the shell ends the groups it was told of. It costs a megabyte and no time.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Reads "+ GROUP" and "- GROUP"; the text is fixed, and nothing of a job ever becomes part of it. */
const SCRIPT = `
groups=
while read -r sign group; do
  case $sign in
    +) groups="$groups $group" ;;
    -) kept=
       for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done
       groups=$kept ;;
  esac
done
[ -z "$groups" ] && exit
for each in $groups; do kill -TERM "-$each"; done
sleep 5
for each in $groups; do kill -KILL "-$each"; done
`;

type Shell = ChildProcessByStdio<Writable, null, null>;

export class OrphanGuard implements AsyncDisposable {
  readonly #groups = new Set<number>();
  #shell: Shell | null = null;
  #closed = false;

  /** Starts what waits for our end, if it does not run. */
  prepare(): void {
    if (!this.#closed && process.platform !== 'win32') this.#shell ??= this.#start();
  }

  /** From now on the group does not outlive this process by more than some seconds. */
  add(group: number): void {
    this.#groups.add(group);
    this.#tell(`+ ${group}\n`);
  }

  /** The group has ended: its number may soon be somebody else's. */
  remove(group: number): void {
    if (this.#groups.delete(group)) this.#tell(`- ${group}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const shell = this.#shell;
    this.#shell = null;
    if (!shell || shell.exitCode !== null || shell.signalCode !== null) return;
    const ended = once(shell, 'exit');
    shell.ref();
    shell.stdin.end();
    await ended;
  }

  #tell(line: string): void {
    // A shell that is started now is told of all groups.
    if (this.#shell) this.#shell.stdin.write(line);
    else this.prepare();
  }

  #start(): Shell | null {
    // A session of its own: the Ctrl-C that ends us must not end it first.
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'headway-guard'], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
      env: { PATH: process.env['PATH'] },
    });
    const forget = (): void => {
      if (this.#shell === shell) this.#shell = null;
    };
    // Without its shell a machine has no guard, and everything else works: the next program tries again.
    shell.on('error', forget);
    shell.stdin.on('error', forget);
    shell.once('exit', forget);
    if (shell.pid === undefined) return null;
    // Neither the shell nor the pipe to it keeps this process alive.
    shell.unref();
    (shell.stdin as Writable & { unref?: () => void }).unref?.();
    for (const group of this.#groups) shell.stdin.write(`+ ${group}\n`);
    return shell;
  }
}
