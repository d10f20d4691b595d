// Files over a real sshd and over restarts of Headway: it goes on at the byte where it stopped, or says that it cannot.
import { appendFileSync, copyFileSync, renameSync, truncateSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LogTail } from '../../src/main/logs/log-tail.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';
import { until } from '../harness/until.ts';
import { depsFor, placesIn, range, RecordingListener, settingsFor } from './logs-fixture.ts';

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
  folder = join(sshd.folder, `places-${tests}`);
  file = join(folder, 'worker.log');
  next = 1;
  await mkdir(folder);
});

function write(count: number): void {
  let text = '';
  for (let written = 0; written < count; written += 1) text += `line ${next++} end\n`;
  appendFileSync(file, text);
}

/** Headway as a new process would be: nothing but the data directory is the same. */
async function newLife(places = folder): Promise<{ tail: LogTail; listener: RecordingListener }> {
  const listener = new RecordingListener();
  const deps = { ...(await depsFor(sshd)), places: placesIn(places) };
  return { tail: new LogTail(settingsFor(sshd, [{ kind: 'file', path: file }]), listener, deps), listener };
}

/** Writes 100 lines every 20 ms, 5,000 a second, until it is stopped. */
function keepWriting(): { stop: () => Promise<void> } {
  const stopped = new AbortController();
  const writing = (async () => {
    const startedAt = performance.now();
    for (let rounds = 0; !stopped.signal.aborted;) {
      for (; rounds < (performance.now() - startedAt) / 20; rounds += 1) write(100);
      await sleep(20);
    }
  })();
  return {
    stop: async () => {
      stopped.abort();
      await writing;
    },
  };
}

describe('a log of 5,000 lines a second', () => {
  it('is read without a lost or doubled line through restarts, cuts and rotations by renaming', async () => {
    write(1);
    const lives: RecordingListener[] = [];
    let writer: ReturnType<typeof keepWriting> | null = null;
    let rotations = 0;
    // The writer's own file has a new name at once: nothing is written to the old one after that.
    const rotate = () => renameSync(file, `${file}.${String((rotations += 1)).padStart(3, '0')}`);
    for (let life = 0; life < 4; life += 1) {
      const { tail, listener } = await newLife();
      lives.push(listener);
      tail.start();
      await listener.untilState('live');
      // Not before: a first start shows only the end of a long log.
      writer ??= keepWriting();
      await listener.untilNumber(next - 1);
      if (life % 2 === 0) {
        await sshd.stop();
        await listener.untilState('reconnecting');
        rotate();
        await sleep(100);
        await sshd.start();
      } else rotate();
      await sleep(500);
      await tail.stop();
      // Also while Headway is away.
      if (life === 1) rotate();
      await sleep(200);
    }
    await writer?.stop();
    const { tail, listener } = await newLife();
    lives.push(listener);
    tail.start();
    await listener.untilNumber(next - 1);
    await tail.stop();
    const numbers = lives.flatMap((each) => each.numbers);
    expect(numbers.length).toBeGreaterThan(10_000);
    expect(firstBreak(numbers)).toBeNull();
    expect(numbers[0]).toBe(1);
    expect(numbers.at(-1)).toBe(next - 1);
    expect(lives.flatMap((each) => each.texts('gap'))).toEqual([]);
    const announced = lives.slice(1).map((each) => each.texts('reconnect')[0]);
    for (const words of announced)
      expect(words).toMatch(/^Headway reads on after .* s; nothing is missing\.$/);
    expect(lives.flatMap((each) => each.texts('note'))).toEqual([]);
  });

  it('says every place where copying and truncating may have lost lines, and doubles none', async () => {
    // Long enough that it does not grow past its old length between two looks: that much nobody could tell live.
    write(200_000);
    const lives: RecordingListener[] = [];
    let writer: ReturnType<typeof keepWriting> | null = null;
    const rotate = () => {
      copyFileSync(file, `${file}.1`);
      truncateSync(file);
    };
    for (let life = 0; life < 3; life += 1) {
      const { tail, listener } = await newLife();
      lives.push(listener);
      tail.start();
      await listener.untilState('live');
      // Not before: a first start shows only the end of a long log.
      writer ??= keepWriting();
      await listener.untilNumber(next - 1);
      if (life === 0) rotate();
      await sleep(700);
      await tail.stop();
      if (life === 1) rotate();
      await sleep(200);
    }
    await writer?.stop();
    const all = lives.flatMap((each) => each.all);
    let last = (lives[0]?.numbers[0] ?? 0) - 1;
    let wasSaid = false;
    for (const line of all) {
      if (line.kind === 'gap') wasSaid = true;
      const number = Number(/^line (\d+) end$/.exec(line.text)?.[1] ?? Number.NaN);
      if (Number.isNaN(number)) continue;
      expect(number).toBeGreaterThan(last);
      if (number !== last + 1) expect(wasSaid).toBe(true);
      wasSaid = false;
      last = number;
    }
    expect(lives.map((each) => each.texts('gap').length)).toEqual([1, 0, 1]);
    expect(lives[2]?.texts('reconnect')[0]).not.toContain('nothing is missing');
  });
});

describe('the place of a file', () => {
  it('lies before an unfinished line, which comes whole after the restart', async () => {
    write(3);
    appendFileSync(file, 'line 4 ');
    const first = await newLife();
    first.tail.start();
    await first.listener.untilNumber(3);
    await first.tail.stop();
    appendFileSync(file, 'end\n');
    const second = await newLife();
    second.tail.start();
    await second.listener.untilNumber(4);
    await second.tail.stop();
    expect([...first.listener.numbers, ...second.listener.numbers]).toEqual(range(1, 4));
  });

  it('is remembered while there is no file: what appears meanwhile is read from its first line', async () => {
    const first = await newLife();
    first.tail.start();
    await first.listener.untilState('waiting-for-file');
    await first.tail.stop();
    write(10_000);
    const second = await newLife();
    second.tail.start();
    await second.listener.untilNumber(10_000);
    await second.tail.stop();
    expect(second.listener.numbers).toEqual(range(1, 10_000));
  });

  it('outlives a life in which the host was never reached', async () => {
    write(3);
    const first = await newLife();
    first.tail.start();
    await first.listener.untilNumber(3);
    await first.tail.stop();
    await sshd.stop();
    const second = await newLife();
    second.tail.start();
    await second.listener.untilState('reconnecting');
    await second.tail.stop();
    await sshd.start();
    write(3);
    const third = await newLife();
    third.tail.start();
    await third.listener.untilNumber(6);
    await third.tail.stop();
    expect(third.listener.numbers).toEqual([4, 5, 6]);
    expect(third.listener.texts('note')).toEqual([]);
  });

  it('loses nothing in a crash, and says that lines may stand twice', async () => {
    write(10);
    const first = await newLife();
    first.tail.start();
    await first.listener.untilNumber(10);
    const kept = join(folder, 'log-places', 'test.json');
    await until(async () => (await readFile(kept, 'utf8').catch(() => '')).includes('"proof"'));
    // What a crash would leave on disk here.
    const crashed = join(folder, 'crashed');
    await mkdir(join(crashed, 'log-places'), { recursive: true });
    await copyFile(kept, join(crashed, 'log-places', 'test.json'));
    write(10);
    await first.listener.untilNumber(20);
    await first.tail.stop();
    const second = await newLife(crashed);
    second.tail.start();
    await second.listener.untilNumber(20);
    await second.tail.stop();
    expect(new Set([...first.listener.numbers, ...second.listener.numbers])).toEqual(new Set(range(1, 20)));
    expect(second.listener.texts('note')).toEqual([expect.stringContaining('a second time')]);
  });

  it('counts for nothing when its file is damaged', async () => {
    write(3);
    await mkdir(join(folder, 'log-places'));
    await writeFile(join(folder, 'log-places', 'test.json'), '{"version":1,"places":{"x":');
    const { tail, listener } = await newLife();
    tail.start();
    await listener.untilNumber(3);
    await tail.stop();
    expect(listener.numbers).toEqual([1, 2, 3]);
    expect(JSON.parse(await readFile(join(folder, 'log-places', 'test.json'), 'utf8'))).toMatchObject({
      version: 1,
    });
  });
});

/** Where the numbers do not go on by one; null when they do. */
function firstBreak(numbers: number[]): { at: number; before: number | undefined; after: number } | null {
  for (const [at, after] of numbers.entries()) {
    const before = numbers[at - 1];
    if (before !== undefined && after !== before + 1) return { at, before, after };
  }
  return null;
}
