import { describe, expect, it } from 'vitest';
import { parseStat, processesOf, type ProcessRow, readProcesses, readPs } from './process-table.ts';

const row = (pid: number, parent: number, rest: Partial<ProcessRow> = {}): ProcessRow => ({
  pid,
  parent,
  group: pid,
  session: pid,
  zombie: false,
  startedAt: `t${pid}`,
  rssBytes: 0,
  ...rest,
});
const pids = (rows: readonly ProcessRow[]): number[] => rows.map(({ pid }) => pid).sort((a, b) => a - b);

describe('a line of /proc/PID/stat', () => {
  const rest = '0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 1000 50 18446744073709551615';

  it('is read, whatever the program calls itself', () => {
    for (const name of ['(sh)', '(a b)', '(x) R 1 (y))'])
      expect(parseStat(`42 ${name} S 1 40 39 ${rest}`)).toEqual({
        pid: 42,
        parent: 1,
        group: 40,
        session: 39,
        zombie: false,
        startedAt: '777',
        rssBytes: null,
      });
    expect(parseStat(`42 (sh) Z 1 40 39 ${rest}`)?.zombie).toBe(true);
  });

  it('of a process that is gone is empty', () => {
    expect(parseStat('')).toBeNull();
  });
});

describe('the processes of a program', () => {
  it('are its group, its session, and all that descends from them', () => {
    const rows = [
      row(1, 0),
      row(10, 1),
      row(11, 10, { group: 10, session: 10 }),
      row(12, 11, { group: 12, session: 10 }),
      // Left the session, but not its parent.
      row(13, 12),
      row(14, 13),
      // Left behind by a parent that has ended.
      row(15, 1, { group: 10, session: 10 }),
      row(20, 1),
      row(21, 20),
    ];
    expect(pids(processesOf(rows, 10))).toEqual([10, 11, 12, 13, 14, 15]);
  });

  it('are known from an earlier look, but not by their number alone', () => {
    const rows = [row(1, 0), row(13, 1), row(14, 1)];
    const known = new Map([
      [13, 't13'],
      [14, 'an earlier process of that number'],
    ]);
    expect(pids(processesOf(rows, 10, known))).toEqual([13]);
  });

  it('are no zombies, though the children of one count', () => {
    const rows = [row(10, 1, { zombie: true }), row(11, 10)];
    expect(pids(processesOf(rows, 10))).toEqual([11]);
  });
});

describe('this machine', () => {
  it.skipIf(process.platform === 'win32')('has this process in its table, by /proc and by ps', async () => {
    for (const rows of [await readProcesses(), await readPs()]) {
      const self = rows.find(({ pid }) => pid === process.pid);
      expect(self).toMatchObject({ parent: process.ppid, zombie: false });
    }
  });
});
