// Files over a real sshd: nothing lost, nothing doubled, and every place where that cannot be promised is marked.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startSshd, type Sshd } from '../harness/sshd.ts';
import { until } from '../harness/until.ts';
import { range, RecordingListener, tailOf } from './logs-fixture.ts';

let sshd: Sshd;
let folder: string;
let file: string;
let next: number;
let tests = 0;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});
beforeEach(async () => {
  tests += 1;
  // Blanks and quotes: no shell may see them as more than a name.
  folder = join(sshd.folder, `logs of test ${tests}'s`);
  file = join(folder, 'postal worker.log');
  next = 1;
  await mkdir(folder);
});

/** Appends `count` numbered lines to whatever has the name now. */
function write(count: number): void {
  let text = '';
  for (let written = 0; written < count; written += 1) text += `line ${next++} end\n`;
  appendFileSync(file, text);
}

describe('a log file', () => {
  it('comes with context from its end, on a line boundary, and goes on live', async () => {
    write(20_000);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilState('live');
    write(50);
    await listener.untilNumber(20_050);
    const [first = 0] = listener.numbers;
    expect(first).toBeGreaterThan(15_000);
    expect(first).toBeLessThan(19_000);
    expect(listener.numbers).toEqual(range(first, 20_050));
    expect(listener.all).toHaveLength(20_050 - first + 1);
    expect(listener.batches[0]?.source).toBe(`${sshd.user}@127.0.0.1:${sshd.port} ${file}`);
  });

  it('is waited for, and read from its first line when it appears', async () => {
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilState('waiting-for-file');
    write(3);
    await listener.untilState('live');
    await listener.untilNumber(3);
    expect(listener.numbers).toEqual([1, 2, 3]);
  });

  it('is read past the end and the return of the server, without a gap', async () => {
    write(10);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(10);
    for (let round = 0; round < 3; round += 1) {
      const writing = (async () => {
        for (let part = 0; part < 40; part += 1) {
          write(500);
          await sleep(10);
        }
      })();
      await sleep(150);
      await sshd.stop();
      await listener.untilState('reconnecting');
      await writing;
      // A line that is unfinished at the cut.
      appendFileSync(file, `line ${next++} `);
      await sshd.start();
      await listener.untilState('live');
      appendFileSync(file, 'end\n');
      await listener.untilNumber(next - 1);
    }
    expect(listener.numbers).toEqual(range(1, next - 1));
    expect(listener.texts('gap')).toEqual([]);
    expect(listener.texts('reconnect')).toHaveLength(3);
    expect(listener.texts('reconnect')[0]).toContain('nothing is missing');
  });

  it('is followed through a rotation by renaming while its writer still has the old file open', async () => {
    write(100);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(100);
    for (let rotation = 0; rotation < 3; rotation += 1) {
      if (existsSync(`${file}.1`)) renameSync(`${file}.1`, `${file}.2`);
      renameSync(file, `${file}.1`);
      writeFileSync(file, '');
      await sleep(700);
      // The writer has not reopened yet: its lines still go to the old file.
      appendFileSync(`${file}.1`, `line ${next++} end\nline ${next++} end\n`);
      await sleep(300);
      write(200);
      await sleep(100);
      write(200);
      await listener.untilNumber(next - 1);
    }
    expect(listener.numbers).toEqual(range(1, next - 1));
    expect(listener.texts('gap')).toEqual([]);
  });

  it('is followed through several rotations that happened while nobody was connected', async () => {
    write(100);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(100);
    await sshd.stop();
    await listener.untilState('reconnecting');
    write(50);
    for (const rotation of [3, 2, 1]) {
      renameSync(file, `${file}.${rotation}`);
      await sleep(20);
      write(1_000);
    }
    await sshd.start();
    await listener.untilNumber(next - 1);
    write(5);
    await listener.untilNumber(next - 1);
    expect(listener.numbers).toEqual(range(1, next - 1));
    expect(listener.texts('gap')).toEqual([]);
  });

  it('marks a gap when it is truncated in place, and doubles nothing', async () => {
    write(100);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(100);
    copyFileSync(file, `${file}.1`);
    truncateSync(file);
    write(10);
    await listener.untilNumber(110);
    expect(listener.numbers).toEqual(range(1, 110));
    expect(listener.texts('gap')).toHaveLength(1);
    expect(listener.texts('gap')[0]).toContain('was truncated');
  });

  it('marks a gap when it was truncated and grew past the old place while nobody was connected', async () => {
    write(100);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(100);
    await sshd.stop();
    await listener.untilState('reconnecting');
    truncateSync(file);
    write(1_000);
    await sshd.start();
    await listener.untilNumber(1_100);
    expect(listener.numbers).toEqual(range(1, 1_100));
    expect(listener.texts('gap')).toHaveLength(1);
    expect(listener.texts('gap')[0]).toContain('holds other lines than before');
  });

  it('marks a gap when the old file is gone after a rotation', async () => {
    write(100);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(100);
    await sshd.stop();
    await listener.untilState('reconnecting');
    renameSync(file, `${file}.1`);
    write(20);
    unlinkSync(`${file}.1`);
    await sshd.start();
    await listener.untilNumber(120);
    expect(listener.numbers).toEqual(range(1, 120));
    expect(listener.texts('gap')).toEqual([expect.stringContaining('was rotated away')]);
  });

  it('marks a gap when a file between the old one and the present one was compressed', async () => {
    write(100);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(100);
    await sshd.stop();
    await listener.untilState('reconnecting');
    renameSync(file, `${file}.2`);
    await sleep(20);
    write(50);
    renameSync(file, `${file}.1.gz`);
    await sleep(20);
    write(20);
    await sshd.start();
    await listener.untilNumber(170);
    expect(listener.numbers).toEqual([...range(1, 100), ...range(151, 170)]);
    expect(listener.texts('gap')).toHaveLength(1);
  });

  it('says why it cannot be read, and disturbs no other input', async () => {
    write(1);
    const listener = new RecordingListener();
    await using tail = await tailOf(
      sshd,
      listener,
      { kind: 'file', path: folder },
      { kind: 'file', path: file },
    );
    tail.start();
    await listener.untilNumber(1);
    await until(() => listener.states.some((state) => state.state === 'failed'));
    const failed = listener.states.find((state) => state.state === 'failed');
    expect(failed?.label).toContain(folder);
    expect(failed?.error?.code).toBe('command-failed');
    expect(failed?.error?.message).toContain('is not a file');
  });

  it('leaves no process behind on the host, whether stopped or cut', async () => {
    write(10);
    const listener = new RecordingListener();
    const tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    await tail.stop();
    tail.start();
    tail.start();
    await listener.untilNumber(10);
    expect(await sshd.sessionProcesses()).not.toEqual([]);
    await Promise.all([tail.stop(), tail.stop()]);
    await until(async () => (await sshd.sessionProcesses()).length === 0);
    tail.start();
    await until(async () => (await sshd.sessionProcesses()).length > 0);
    await sshd.stop();
    await until(async () => (await sshd.sessionProcesses()).length === 0);
    await tail.stop();
    await sshd.start();
  });

  it('goes on after stop and start where it was', async () => {
    write(10);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(10);
    const stopped = tail.stop();
    tail.start();
    await stopped;
    await tail.stop();
    write(10);
    tail.start();
    await listener.untilNumber(20);
    expect(listener.numbers).toEqual(range(1, 20));
  });

  it('keeps up with a flood: every line arrives, in batches at least 90 ms apart', async () => {
    write(1);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: file });
    tail.start();
    await listener.untilNumber(1);
    for (let part = 0; part < 20; part += 1) write(5_000);
    await listener.untilNumber(next - 1);
    expect(listener.numbers).toEqual(range(1, next - 1));
    const gaps = listener.batches
      .slice(1)
      .map((batch, index) => batch.atMs - (listener.batches[index]?.atMs ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(90);
  });
});
