import { describe, expect, it } from 'vitest';
import type { LogLine } from '../../../contract/logs.ts';
import { LogBook } from './log-book.ts';

const line = (seq: number, text = `line ${seq}`, more: Partial<LogLine> = {}): LogLine => ({
  seq,
  readAtMs: 1_000_000 + seq * 100,
  atMs: null,
  source: 'this computer',
  kind: 'line',
  level: 'info',
  text,
  timing: null,
  ...more,
});
const lines = (from: number, count: number): LogLine[] =>
  Array.from({ length: count }, (_, at) => line(from + at));
const texts = (book: LogBook): string[] =>
  book.rows.map(({ line: { text }, count }) => (count > 1 ? `${text} × ${count}` : text));
const all = (): boolean => true;

describe('LogBook', () => {
  it('stays within its bound and forgets rows with their lines', () => {
    const book = new LogBook(100, all);
    for (let seq = 0; seq < 1_000; seq += 10) book.add(lines(seq, 10));
    expect(book.size).toBeLessThanOrEqual(110);
    expect(book.rows).toHaveLength(book.size);
    expect(book.rows[0]?.line).toBe(book.first);
    expect(book.last?.seq).toBe(999);
  });

  it('takes one batch that is larger than the bound', () => {
    const book = new LogBook(100, all);
    book.add(lines(0, 5_000));
    expect(book.size).toBe(100);
    expect(book.first?.seq).toBe(4_900);
  });

  it('collapses what repeats, whatever the time at its head, and nothing else', () => {
    const book = new LogBook(100, all);
    const retry = (seq: number, second: string): LogLine =>
      line(seq, `2026-01-09 12:34:${second} +0000 ERROR   retrying`, { atMs: seq, level: 'error' });
    book.add([
      retry(0, '50'),
      retry(1, '51'),
      retry(2, '52'),
      line(3),
      line(4, 'retrying', { level: 'warn' }),
    ]);
    expect(book.rows.map(({ body, count }) => [body, count])).toEqual([
      ['retrying', 3],
      ['line 3', 1],
      ['retrying', 1],
    ]);
    expect(book.rows[0]?.last.seq).toBe(2);
  });

  it('keeps a collapsed row while one of its lines is held', () => {
    const book = new LogBook(10, all);
    book.add(Array.from({ length: 12 }, (_, seq) => line(seq, 'the same')));
    expect(texts(book)).toEqual(['the same × 12']);
  });

  it('shows the lines of another test over the same ring', () => {
    const book = new LogBook(100, all);
    book.add([line(0, 'a'), line(1, 'b'), line(2, 'a')]);
    book.setTest(({ text }) => text === 'a');
    expect(texts(book)).toEqual(['a × 2']);
    book.add([line(3, 'b'), line(4, 'a')]);
    expect(texts(book)).toEqual(['a × 3']);
    book.setTest(all);
    expect(texts(book)).toEqual(['a', 'b', 'a', 'b', 'a']);
  });

  it('says where lines are missing, under every filter', () => {
    const book = new LogBook(100, ({ text }) => text === 'a');
    book.add([line(0, 'a')]);
    book.add([line(13, 'b'), line(14, 'a'), line(15, 'gone', { kind: 'gap' })]);
    expect(texts(book)).toEqual(['a', '12 lines passed while this window was away', 'a', 'gone']);
    expect(book.rows[1]?.line.kind).toBe('gap');
  });

  it('takes no line twice', () => {
    const book = new LogBook(100, all);
    book.add(lines(0, 5));
    book.add(lines(3, 4));
    expect(book.size).toBe(7);
  });

  it('finds the neighbours of a line that the filter hides', () => {
    const book = new LogBook(100, ({ seq }) => seq === 10);
    book.add(lines(0, 20));
    expect(book.around(10, 2).map(({ seq }) => seq)).toEqual([8, 9, 10, 11, 12]);
    expect(book.around(0, 2).map(({ seq }) => seq)).toEqual([0, 1, 2]);
  });

  it('counts lines, shown ones and errors per bucket', () => {
    const book = new LogBook(100, ({ text }) => text !== 'hidden');
    book.add([
      line(0, 'x', { atMs: 10_000 }),
      line(1, 'hidden', { atMs: 10_500, level: 'error' }),
      line(2, 'y', { atMs: 12_100, level: 'error' }),
      // From a clock that is a day ahead: it must not stretch the axis.
      line(3, 'z', { atMs: 86_412_000 }),
      line(4, 'v', { atMs: 12_900 }),
    ]);
    expect(book.histogram()).toEqual({
      fromMs: 10_000,
      bucketMs: 1_000,
      bars: [
        { all: 2, shown: 1, bad: 0 },
        { all: 0, shown: 0, bad: 0 },
        { all: 3, shown: 3, bad: 1 },
      ],
    });
  });

  it('scales bars by the p95 of the totals, rounded up', () => {
    const timing = (totalMs: number): Partial<LogLine> => ({
      timing: {
        tenantId: '1',
        jobId: null,
        kind: null,
        startedAtMs: null,
        totalMs,
        stages: {},
        status: 'success',
        error: null,
        sizeBytes: null,
      },
    });
    const book = new LogBook(1_000, all);
    expect(book.scaleMs()).toBe(1_000);
    book.add(Array.from({ length: 100 }, (_, seq) => line(seq, 't', timing(seq < 97 ? 320 : 60_000))));
    expect(book.scaleMs()).toBe(500);
  });
});
