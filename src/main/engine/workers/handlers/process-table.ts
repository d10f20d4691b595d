// The processes of this machine, as far as ending and measuring a program's own needs them: read from /proc on Linux,
// from `ps` on other systems.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setImmediate as afterInput } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface ProcessRow {
  pid: number;
  parent: number;
  group: number;
  /** The session it belongs to; its group where the system does not say. */
  session: number;
  /** Ended, and not yet fetched by its parent. */
  zombie: boolean;
  /** Tells it from a later process of the same number; empty where the system does not say. */
  startedAt: string;
  /** Resident memory in bytes; null: ask `memoryOf`. */
  rssBytes: number | null;
}

/** So many files are read at a time, about a millisecond; then everybody else has a turn. */
const SLICE = 64;
const PS_TIMEOUT_MS = 5_000;
const PS_BUFFER_BYTES = 16 * 1024 * 1024;

/** Every process that can be seen. Empty on Windows, which has no groups of processes. */
export function readProcesses(): Promise<ProcessRow[]> {
  if (process.platform === 'linux') return readProc();
  return process.platform === 'win32' ? Promise.resolve([]) : readPs();
}

async function readProc(): Promise<ProcessRow[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const rows: ProcessRow[] = [];
  for (const [i, name] of names.entries()) {
    // The kernel answers from memory, in some microseconds: a promise for each file would cost ten times as much.
    const row = parseStat(textOf(`/proc/${name}/stat`));
    if (row !== null) rows.push(row);
    if (i % SLICE === SLICE - 1) await afterInput();
  }
  return rows;
}

/** A line of /proc/PID/stat. Its second field, the name, may hold blanks and brackets: what follows the last ")" counts. */
export function parseStat(line: string): ProcessRow | null {
  const end = line.lastIndexOf(')');
  const pid = Number.parseInt(line, 10);
  if (end < 0 || Number.isNaN(pid)) return null;
  const [state, parent, group, session, ...rest] = line.slice(end + 2).split(' ');
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    zombie: state === 'Z' || state === 'X',
    startedAt: rest[15] ?? '',
    rssBytes: null,
  };
}

/** The same from `ps`, which every Unix has. */
export async function readPs(): Promise<ProcessRow[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,pgid=,stat=,rss='], {
    timeout: PS_TIMEOUT_MS,
    maxBuffer: PS_BUFFER_BYTES,
  });
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, group, state, rssKb] = line.trim().split(/\s+/);
    if (state === undefined) return [];
    return {
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      session: Number(group),
      zombie: state.startsWith('Z'),
      startedAt: '',
      rssBytes: Number(rssKb) * 1024,
    };
  });
}

/**
 * What a program has become: the members of its leader's group and session, those `known` from an earlier look (start
 * by number), and all their descendants, also those that left the session. A process that cut itself loose between two
 * looks (a daemon: forked twice, with a session of its own) is not among them.
 */
export function processesOf(
  rows: readonly ProcessRow[],
  leader: number,
  known: ReadonlyMap<number, string> = new Map(),
): ProcessRow[] {
  const children = Map.groupBy(rows, (row) => row.parent);
  const found = new Map<number, ProcessRow>();
  const waiting = rows.filter(
    ({ pid, group, session, startedAt }) =>
      pid === leader || group === leader || session === leader || known.get(pid) === startedAt,
  );
  for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
    if (found.has(row.pid)) continue;
    found.set(row.pid, row);
    waiting.push(...(children.get(row.pid) ?? []));
  }
  return [...found.values()].filter((row) => !row.zombie);
}

/** Resident memory, bytes: shared pages count for each process that has them. 0 for a process that is gone. */
export async function memoryOf(rows: readonly ProcessRow[]): Promise<number> {
  const each = await Promise.all(
    rows.map(async ({ pid, rssBytes }) => rssBytes ?? (await kilobytes(`/proc/${pid}/status`, 'VmRSS')) ?? 0),
  );
  return each.reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * Resident memory with shared pages counted once in all, bytes; `memoryOf` where the system does not say. Dear (it
 * walks page tables): for the moment before a program is ended for its memory.
 */
export async function fairMemoryOf(rows: readonly ProcessRow[]): Promise<number> {
  const each = await Promise.all(
    rows.map(async (row) => (await kilobytes(`/proc/${row.pid}/smaps_rollup`, 'Pss')) ?? memoryOf([row])),
  );
  return each.reduce((sum, bytes) => sum + bytes, 0);
}

/** The field `name` of a file that says "name:   123 kB", in bytes. */
async function kilobytes(file: string, name: string): Promise<number | null> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
  return found === undefined ? null : Number(found) * 1024;
}

/** Empty for a process that has gone. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
