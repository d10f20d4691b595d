// The log store on a real disk: what goes in is found again, whatever happened in between.
import { appendFile, chmod, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseLogFilter } from '../../src/core/log-filter.ts';
import type { LogLine } from '../../src/contract/logs.ts';
import { tempDir } from '../harness/temp.ts';
import {
  asStored,
  lineOf,
  MEGABYTE,
  never,
  T0,
  TestStore,
  withoutPlace,
  workerLines,
} from './log-store-fixture.ts';

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());
const folder = async (): Promise<string> => stack.use(await tempDir('log-store')).path;
const names: [string, string][] = [['3', 'mailflow']];

async function filled(
  path: string,
  lines: readonly LogLine[],
  budgetBytes = 64 * MEGABYTE,
): Promise<TestStore> {
  const store = new TestStore(path, { budgetBytes });
  for (let i = 0; i < lines.length; i += 1_000) store.append('mail', lines.slice(i, i + 1_000));
  await store.flush();
  return store;
}

function truth(lines: readonly LogLine[], text: string): LogLine[] {
  const filter = parseLogFilter(text, (id) => names.find(([known]) => known === id)?.[1]);
  return lines.filter((line) => filter.matches(line));
}

describe('stored lines', () => {
  const lines = workerLines(30_000);

  it('are found as the filter finds them live, over segments and the part that is not indexed yet', async () => {
    const path = await folder();
    await using store = await filled(path, lines, 8 * MEGABYTE);
    expect(
      (await readdir(join(path, 'mail'))).filter((name) => name.endsWith('.log')).length,
    ).toBeGreaterThan(1);
    for (const filter of [
      '',
      'tenant=mailflow total_ms>1000',
      'server_id=3 level>=warn',
      '"NR. 7"',
      'FÜR level=warn',
      'status=error -deliver_ms<50',
      'source=journal size>90kB',
      'message_id=4711',
      'absent',
    ]) {
      const wanted = truth(lines, filter).map(asStored);
      const found = await store.find(filter, {}, names);
      expect(found.found, filter).toBe(wanted.length);
      expect(withoutPlace(found.lines), filter).toEqual(wanted);
      expect(found).toMatchObject({ done: true, more: false, scannedBytes: found.totalBytes });
    }
  });

  it('come newest first, as many as asked for, while all are counted into a histogram', async () => {
    await using store = await filled(await folder(), lines);
    const wanted = truth(lines, 'level=error').toReversed();
    const fromMs = T0 + 100_000;
    const toMs = T0 + 249_999;
    const within = wanted.filter(({ readAtMs }) => readAtMs >= fromMs && readAtMs <= toMs);
    const found = await store.find('level=error', { order: 'newest', limit: 50, fromMs, toMs, buckets: 7 });
    expect(withoutPlace(found.lines)).toEqual(within.slice(0, 50).map(asStored));
    expect(found).toMatchObject({ found: within.length, more: true });
    const { histogram } = found;
    const bars = Array.from({ length: 7 }, (_, bar) => {
      const from = fromMs + bar * (histogram?.bucketMs ?? NaN);
      return within.filter(({ readAtMs: at }) => at >= from && at < from + (histogram?.bucketMs ?? NaN))
        .length;
    });
    expect(histogram).toEqual({ fromMs, bucketMs: histogram?.bucketMs, lines: bars, errors: bars });
    expect(bars.reduce((a, b) => a + b)).toBe(within.length);
  });

  it('are told a bounded number at a time, and no more once the search is stopped', async () => {
    await using store = await filled(await folder(), lines);
    const all = await store.find('', { order: 'newest', limit: 5_000 });
    expect(withoutPlace(all.lines)).toEqual(lines.toReversed().slice(0, 5_000).map(asStored));
    expect(Math.max(...all.words.map((word) => word.lines.length))).toBeLessThanOrEqual(2_000);
    expect(all.words.map(({ done }) => done)).toEqual(all.words.map((_, i) => i === all.words.length - 1));

    const leaving = new AbortController();
    let words = 0;
    const query = { connectionId: 'mail', filter: '', fromMs: null, toMs: null, order: 'newest' as const };
    await store.search(
      { ...query, limit: 50_000, buckets: 0 },
      [],
      () => {
        words += 1;
        leaving.abort();
      },
      leaving.signal,
    );
    expect(words).toBe(1);
    expect((await store.find('absent')).done).toBe(true);
  });

  it('outlive a restart, a lost index, another index, and a record cut in two', async () => {
    const path = await folder();
    const some = lines.slice(0, 20_000);
    const mail = join(path, 'mail');
    await (await filled(path, some, 8 * MEGABYTE))[Symbol.asyncDispose]();
    const files = (await readdir(mail)).sort();
    const indexes = files.filter((name) => name.endsWith('.idx')).map((name) => join(mail, name));
    const logs = files.filter((name) => name.endsWith('.log')).map((name) => join(mail, name));
    expect(indexes.length).toBeGreaterThan(1);
    const again = async (harm: () => Promise<void>): Promise<void> => {
      await harm();
      await using store = new TestStore(path, { budgetBytes: 8 * MEGABYTE });
      for (const filter of ['tenant=3 total_ms>500', '"Nr. 7"', 'level=error']) {
        const found = await store.find(filter);
        expect(withoutPlace(found.lines), filter).toEqual(truth(some, filter).map(asStored));
      }
      expect(await store.stored('mail')).toMatchObject({ lines: some.length, problem: null, unstored: 0 });
    };
    await again(() => Promise.resolve());
    await again(() => Promise.all(indexes.map((name) => rm(name))).then(() => undefined));
    await again(async () => writeFile(indexes[0] ?? '', await readFile(indexes[1] ?? '')));
    await again(() => writeFile(indexes[1] ?? '', 'no index'));
    await again(async () => truncate(indexes[0] ?? '', (await stat(indexes[0] ?? '')).size - 100));
    // A bitmap that the power cut left empty must not hide lines.
    await again(async () => {
      const index = await readFile(indexes[0] ?? '');
      await writeFile(indexes[0] ?? '', index.fill(0, 64, 32_832));
    });
    await again(() => appendFile(logs.at(-1) ?? '', '0mk1abc23li0\tthis was being writ'));
    await again(() => appendFile(logs.at(-1) ?? '', Buffer.alloc(5_000)));
  });

  it('go on after a restart where they ended, with the labels they had', async () => {
    const path = await folder();
    for (const part of [0, 1, 2]) {
      await using store = await filled(path, workerLines(1_000, part * 1_000));
      store.append('mail', [lineOf(part, `part ${part}`, { source: `new ${part}` })]);
    }
    await using store = new TestStore(path);
    expect((await store.find('source="new "')).lines.map(({ source, text }) => [source, text])).toEqual([
      ['new 0', 'part 0'],
      ['new 1', 'part 1'],
      ['new 2', 'part 2'],
    ]);
    expect((await store.stored('mail')).lines).toBe(3_003);
  });

  it('are not stored again when a tail begins anew with the last of them', async () => {
    const path = await folder();
    const texts = (from: number, to: number) => lines.slice(from, to);
    {
      await using store = await filled(path, texts(0, 3_000));
      expect((await store.stored('mail')).lines).toBe(3_000);
    }
    await using store = new TestStore(path);
    store.append('mail', texts(2_800, 3_100), true);
    store.append('mail', [lineOf(1, 'said again', { atMs: null })], true);
    store.append('mail', [lineOf(1, 'said again', { atMs: null })], true);
    await store.flush();
    // A fifth of the lines has no time of its own.
    const timeless = texts(2_800, 3_000).filter(({ atMs }) => atMs === null).length;
    expect(await store.stored('mail')).toMatchObject({ lines: 3_100 + timeless + 2, unstored: 0 });
    store.append('mail', texts(3_100, 3_110));
    expect((await store.stored('mail')).lines).toBe(3_110 + timeless + 2);
    store.append('mail', texts(3_090, 3_120), true);
    const { found } = await store.find('');
    expect(found).toBe(3_120 + timeless + 2 + texts(3_090, 3_110).filter(({ atMs }) => atMs === null).length);
  });

  it('come back as they were, however hostile', async () => {
    const hostile = [
      '',
      '\t',
      '\ttab first',
      '0mk1abc23li0\tpretends to be a record',
      '漢字 🙂 grüße \u212A İ \u0000 \u001b[31m',
      '[TIMING] {"server_id":',
      '[TIMING] {"server_id":3,"total_ms":"\\u0031"}',
      'x'.repeat(16_384),
      '🙂'.repeat(8_000),
      '__proto__=1 constructor=2',
    ].map((text, i) => lineOf(i, text, { level: i % 2 ? 'error' : null, kind: 'gap', source: `"${text}"` }));
    hostile.push(lineOf(90, 'times', { readAtMs: 0, atMs: -62_135_596_800_000 }));
    hostile.push(lineOf(91, 'times', { readAtMs: T0, atMs: 253_402_300_799_999 }));
    await using store = await filled(await folder(), hostile);
    expect(withoutPlace((await store.find('')).lines)).toEqual(hostile.map(asStored));
    for (const { text, source } of hostile.slice(4, 10)) {
      expect((await store.find(`"${text.slice(0, 900).replaceAll('"', '')}"`)).problems).toEqual([]);
      expect(source).toContain(text);
    }
    store.append('mail', [lineOf(99, 'two\nlines', { source: 'two\nlabels' })]);
    expect((await store.find('two')).lines).toMatchObject([{ text: 'two lines', source: 'two labels' }]);
  });

  it('make room: the oldest go when space or days run out, and places of the others stay', async () => {
    const path = await folder();
    let nowMs = T0;
    const store = stack.use(
      new TestStore(path, { budgetBytes: 2 * MEGABYTE, keepMs: 1_000_000, now: () => nowMs }),
    );
    for (let i = 0; i < 30_000; i += 10_000) {
      store.append('mail', lines.slice(i, i + 10_000));
      await store.flush();
    }
    const { bytes, limitBytes, lines: kept, fromMs } = await store.stored('mail');
    expect(bytes).toBeLessThanOrEqual(limitBytes);
    expect(bytes).toBeGreaterThan(limitBytes / 2);
    const oldest = 30_000 - kept;
    expect(oldest).toBeGreaterThan(0);
    expect(fromMs).toBe(T0 + oldest * 10);
    const { lines: found } = await store.find('', { limit: 10 });
    expect(withoutPlace(found)).toEqual(lines.slice(oldest, oldest + 10).map(asStored));
    await expect(store.context('mail', '1:0', 5, 5)).rejects.toMatchObject({ code: 'not-found' });

    nowMs = T0 + 300_000 + 1_000_001;
    await store.flush();
    expect(await store.stored('mail')).toMatchObject({ lines: 0, fromMs: null, problem: null });
    store.append('mail', [lineOf(1, 'anew', { readAtMs: nowMs })]);
    expect((await store.find('')).lines.map(({ text }) => text)).toEqual(['anew']);
  });

  it('show what stood around one, over the edge of a segment', async () => {
    const path = await folder();
    const some = lines.slice(0, 30_000);
    await using store = await filled(path, some, 16 * MEGABYTE);
    const all = await store.find('');
    const second = all.lines.findIndex(({ at }) => at === '2:0');
    for (const place of [0, 1, second - 1, second, second + 1, 15_000, some.length - 1]) {
      const at = all.lines[place]?.at ?? '';
      const context = await store.context('mail', at, 7, 4);
      const [from, to] = [Math.max(0, place - 7), Math.min(some.length, place + 5)];
      expect(withoutPlace(context.lines)).toEqual(some.slice(from, to).map(asStored));
      expect(context).toMatchObject({ atStart: from === 0, atEnd: to === some.length });
    }
    const one = await store.context('mail', all.lines[3]?.at ?? '', 0, 0);
    expect(one).toMatchObject({ lines: [all.lines[3]], atStart: false, atEnd: false });
    for (const at of ['1:1', '99:0', '1:99999999'])
      await expect(store.context('mail', at, 1, 1)).rejects.toMatchObject({ code: 'not-found' });
    await expect(store.context('mail', '../1', 1, 1)).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('tell size against duration', async () => {
    await using store = await filled(await folder(), lines);
    const query = { connectionId: 'mail', fromMs: T0, toMs: T0 + 200_000, tenantId: '3' };
    const records = lines.flatMap(({ timing, readAtMs }) =>
      timing?.tenantId === '3' && readAtMs <= query.toMs ? [timing] : [],
    );
    const dkim = await store.sizes({ ...query, stage: 'dkim' }, never);
    expect(dkim).toMatchObject({ records: records.length, isWhole: true });
    expect(dkim.fit?.slope).toBeCloseTo(1, 2);
    expect(dkim.fit?.r2).toBeGreaterThan(0.99);
    expect(Math.exp(dkim.fit?.intercept ?? NaN)).toBeCloseTo(0.001, 4);
    expect(dkim.density.flat().reduce((a, b) => a + b)).toBe(records.length);
    expect(dkim.density.length).toBe(dkim.sizeEdges.length - 1);
    const total = await store.sizes({ ...query, stage: 'total' }, never);
    const slowest = records.map(({ totalMs }) => totalMs).sort((a, b) => b - a);
    expect(total.slowest.map(({ timing }) => timing?.totalMs)).toEqual(slowest.slice(0, 50));
    expect(await store.sizes({ ...query, stage: 'absent' }, never)).toMatchObject({ records: 0, fit: null });
    await expect(store.sizes({ ...query, stage: 'dkim' }, AbortSignal.abort())).rejects.toThrow();
  });

  it("are the owner's alone, each connection's its own, and gone when it is removed", async () => {
    const path = await folder();
    await using store = await filled(path, lines.slice(0, 10));
    store.append('other', [lineOf(1, 'of another')]);
    expect((await store.find('another')).found).toBe(0);
    expect((await store.find('another', { connectionId: 'other' })).found).toBe(1);
    for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
      const { mode } = await stat(join(entry.parentPath, entry.name));
      expect(mode & 0o077, entry.name).toBe(0);
    }
    await store.remove('mail');
    expect(await store.stored('mail')).toMatchObject({ lines: 0, bytes: 0 });
    expect(await readdir(path)).not.toContain('mail');
    store.append('mail', [lineOf(1, 'anew')]);
    expect((await store.find('')).found).toBe(1);
    await expect(store.stored('../mail')).rejects.toMatchObject({ code: 'bad-request' });
    await chmod(path, 0o700);
  });
});
