// The log store in trouble: a full disk, another Headway on the same folder, a process that is killed.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { chmod, mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it } from 'vitest';
import type { LogLine } from '../../src/contract/logs.ts';
import { tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { asStored, lineOf, T0, TestStore, withoutPlace, workerLines } from './log-store-fixture.ts';

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const folder = async (): Promise<string> => stack.use(await tempDir('log-store')).path;

/** A disk of its own, small, in memory; null where none can be had. */
function smallDisk(): (Disposable & { path: string }) | null {
  const path = mkdtempSync(join(tmpdir(), 'headway-log-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path]);
  if (mounted.status !== 0) {
    rmdirSync(path);
    return null;
  }
  return {
    path,
    [Symbol.dispose]() {
      spawnSync('umount', [path]);
      rmdirSync(path);
    },
  };
}
const canMount = ((): boolean => {
  using disk = smallDisk();
  if (disk === null) console.warn('SKIPPED: the full disk of the log store (no tmpfs here)');
  return disk !== null;
})();

describe.skipIf(!canMount)('a full disk', () => {
  it('pauses storing visibly; nothing is there by halves, and it goes on by itself', async () => {
    using disk = smallDisk();
    if (disk === null) throw new Error('no disk');
    const kept = await (async () => {
      await using store = new TestStore(join(disk.path, 'logs'));
      const ballast = join(disk.path, 'ballast');
      await writeFile(ballast, Buffer.alloc(3_200_000));
      let next = 0;
      const written: LogLine[] = [];
      const write = async (): Promise<void> => {
        const lines = workerLines(500, next);
        written.push(...lines);
        store.append('mail', lines);
        next += 500;
        await store.flush();
      };
      await until(async () => {
        await write();
        return store.problems.length > 0;
      }, 'the disk is never full');
      expect(store.problems).toEqual([expect.stringMatching(/disk is full; make space/)]);
      const full = await store.stored('mail');
      expect(full).toMatchObject({ problem: store.problems[0], lines: next - full.unstored });
      expect((await store.find('')).found).toBe(full.lines);

      await rm(ballast);
      await until(async () => {
        await write();
        return store.problems.length > 1;
      }, 'storing never goes on');
      expect(store.problems[1]).toBeNull();
      const again = await store.stored('mail');
      expect(again).toMatchObject({ problem: null, lines: next - again.unstored });
      // Whole lines, each of those that were written, in order.
      const { lines } = await store.find('');
      const numbers = new Set(lines.map(({ readAtMs }) => (readAtMs - T0) / 10));
      expect(withoutPlace(lines)).toEqual(written.filter(({ seq }) => numbers.has(seq)).map(asStored));
      expect((await statfs(disk.path)).bavail).toBeGreaterThan(0);
      return lines.length;
    })();
    await using store = new TestStore(join(disk.path, 'logs'));
    expect((await store.find('')).found).toBe(kept);
  });
});

describe('a folder', () => {
  it('has one Headway that stores: another says why it does not, and takes over when the first ends', async () => {
    const path = await folder();
    let nowMs = Date.now();
    const now = (): number => nowMs;
    const first = stack.use(new TestStore(path, { now }));
    first.append('mail', [lineOf(1, 'of the first')]);
    await first.flush();
    await using second = new TestStore(path, { now });
    second.append('mail', [lineOf(2, 'of the second'), lineOf(3, 'lost')]);
    await second.flush();
    expect(second.problems).toEqual([expect.stringContaining('Another Headway')]);
    const there = await second.stored('mail');
    expect(there).toMatchObject({ lines: 0, unstored: 2, problem: second.problems[0] });
    expect((await first.find('')).found).toBe(1);

    await first[Symbol.asyncDispose]();
    nowMs += 2_000;
    second.append('mail', [lineOf(4, 'stored')]);
    await second.flush();
    expect((await second.find('')).lines.map(({ text }) => text)).toEqual(['of the first', 'stored']);
    expect(second.problems.at(-1)).toBeNull();
  });

  it('of a process that was killed while it wrote holds all that was stored, whole, and no lock', async () => {
    const path = await folder();
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'log-store-child.ts'), path],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const told: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => told.push(line));
    await until(() => told.length > 60, 'the child stores nothing', 30_000);
    await using store = new TestStore(path);
    expect(await store.stored('mail')).toMatchObject({
      problem: expect.stringContaining('Another') as string,
    });
    child.kill('SIGKILL');
    await once(child, 'close');
    const count = Number(told.at(-1)?.split(' ')[1]);
    await until(async () => (await store.stored('mail')).problem === null, 'the lock is never let go');
    const { lines } = await store.find('number>=0');
    expect(lines.length).toBeGreaterThanOrEqual(count);
    expect(withoutPlace(lines)).toEqual(
      lines.map((_, i) => asStored(lineOf(i, `line number=${i} ${'x'.repeat(200)}`))),
    );
    expect((await store.stored('mail')).lines).toBe(lines.length);
  });

  it('that cannot be used is told, and lines are counted', async () => {
    const path = await folder();
    await mkdir(join(path, 'logs'));
    await writeFile(join(path, 'logs', 'mail'), 'a file where a folder should be');
    await using store = new TestStore(join(path, 'logs'));
    store.append('mail', [lineOf(1, 'one')]);
    await store.flush();
    expect(store.problems).toEqual([expect.stringContaining(join(path, 'logs'))]);
    await expect(store.stored('mail')).rejects.toMatchObject({ code: 'storage-failed' });
    await chmod(path, 0o700);
  });
});
