// What a program's jobs leave behind when those who look after them are killed: nothing.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startProcess } from '../harness/process.ts';
import { until } from '../harness/until.ts';
import { aMark } from './engine-handler-fixture.ts';

let mark: ReturnType<typeof aMark>;
beforeEach(() => {
  mark = aMark();
});
afterEach(() => {
  for (const pid of mark.pids()) process.kill(pid, 'SIGKILL');
});

const host = (script: string) =>
  startProcess({
    command: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'engine-command-host.ts'),
      `${mark.name}=${mark.value}`,
      '/bin/sh',
      '-c',
      script,
    ],
    ready: ({ output }) => /^\d+$/m.test(output),
  });

/** Guards of ours: shells that wait for the end of a pipe. */
const guards = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('headway-guard');
      } catch {
        return false;
      }
    });

describe('kill -9 of the process that runs the jobs', () => {
  it('ends the programs of its jobs soon after, also those that ignore SIGTERM', async () => {
    const before = new Set(guards());
    await using engine = await host('(trap "" TERM; sleep 1000; sleep 1000) & sleep 1000');
    await until(() => mark.pids().length >= 2, 'the program did not start');
    await engine.kill('SIGKILL');
    await until(
      () => mark.pids().length === 0,
      () => `left: ${mark.pids().join(' ')}`,
      15_000,
    );
    await until(() => guards().every((pid) => before.has(pid)), 'the guard is left', 15_000);
  });

  it('is no different when it ends with process.exit, or by Ctrl-C', async () => {
    await using engine = await host('sleep 1000');
    await until(() => mark.pids().length >= 1, 'the program did not start');
    await engine.kill('SIGINT');
    await until(
      () => mark.pids().length === 0,
      () => `left: ${mark.pids().join(' ')}`,
    );
    expect(mark.pids()).toEqual([]);
  });
});

describe('a thread that is ended from outside while it runs a program', () => {
  it('takes the program with it', async () => {
    const worker = new Worker(join(import.meta.dirname, 'engine-command-host.ts'), {
      argv: [`${mark.name}=${mark.value}`, '/bin/sh', '-c', 'sleep 1000 & sleep 1000; :'],
      stdout: true,
    });
    // It says the program's number as soon as it looks after it.
    await once(worker.stdout, 'data');
    await until(() => mark.pids().length >= 3, 'the program did not start');
    await worker.terminate();
    await until(
      () => mark.pids().length === 0,
      () => `left: ${mark.pids().join(' ')}`,
    );
  });
});

describe('kill -9 of a program', () => {
  it('ends what it forked, and its job', async () => {
    await using engine = await host('sleep 1000 & sleep 1000; :');
    await until(() => mark.pids().length >= 3, 'the program did not start');
    process.kill(Number(/^\d+$/m.exec(engine.output())?.[0]), 'SIGKILL');
    const { code } = await engine.exited;
    // Node ends with 1 for the failure nobody caught.
    expect(code).toBe(1);
    expect(engine.output()).toContain('"sh" was killed by SIGKILL');
    expect(mark.pids()).toEqual([]);
  });
});
