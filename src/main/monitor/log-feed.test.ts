import { describe, expect, it } from 'vitest';
import type { LogTail } from '../../contract/logs.ts';
import type { ParsedLine } from '../logs/log-events.ts';
import { LogFeed } from './log-feed.ts';

const line = (text: string, more: Partial<ParsedLine> = {}): ParsedLine => ({
  readAtMs: 0,
  atMs: null,
  kind: 'line',
  level: null,
  text,
  timing: null,
  malformedTiming: false,
  ...more,
});
const lines = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => line(`line ${from + index}`));
const never = new AbortController().signal;
const nobody = () => undefined;

describe('LogFeed', () => {
  it('numbers the lines of all inputs in one row, and names the input of each', () => {
    const feed = new LogFeed();
    feed.add('a', lines(2), 0);
    feed.add('b', lines(1), 0);
    const { lines: all, stats } = feed.follow(nobody, 0, never);
    expect(all.map(({ seq, source, text }) => [seq, source, text])).toEqual([
      [0, 'a', 'line 0'],
      [1, 'a', 'line 1'],
      [2, 'b', 'line 0'],
    ]);
    expect(stats.total).toBe(3);
    expect(all[0]).not.toHaveProperty('malformedTiming');
  });

  it('keeps the newest lines, bounded, and shows the newest 2,000 of them without a hole', () => {
    const feed = new LogFeed();
    for (let batch = 0; batch < 60; batch++) feed.add('a', lines(1_000, batch * 1_000), batch);
    const { lines: shown, stats } = feed.follow(nobody, 60, never);
    expect(stats.total).toBe(60_000);
    expect(shown).toHaveLength(2_000);
    expect(shown.map(({ seq }) => seq)).toEqual(Array.from({ length: 2_000 }, (_, index) => 58_000 + index));
    expect(shown.every(({ seq, text }) => text === `line ${seq}`)).toBe(true);
    expect(feed.kept).toBeGreaterThanOrEqual(20_000);
    expect(feed.kept).toBeLessThanOrEqual(25_000);
  });

  it('tells each follower what comes after its snapshot, once, until it leaves', () => {
    const feed = new LogFeed();
    feed.add('a', lines(1), 0);
    const [first, second] = [[] as LogTail[], [] as LogTail[]];
    const leaving = new AbortController();
    const snapshot = feed.follow((tail) => first.push(tail), 0, leaving.signal);
    feed.add('a', lines(1, 1), 0);
    feed.follow((tail) => second.push(tail), 0, never);
    feed.add('a', lines(2, 2), 0);
    leaving.abort();
    feed.add('a', lines(1, 4), 0);
    const seqs = (tails: LogTail[]) => tails.flatMap((tail) => tail.lines.map(({ seq }) => seq));
    expect(snapshot.lines.map(({ seq }) => seq)).toEqual([0]);
    expect(seqs(first)).toEqual([1, 2, 3]);
    expect(seqs(second)).toEqual([2, 3, 4]);
  });

  it('tells nobody whose signal has aborted already', () => {
    const feed = new LogFeed();
    const heard: LogTail[] = [];
    feed.follow((tail) => heard.push(tail), 0, AbortSignal.abort());
    feed.add('a', lines(1), 0);
    expect(heard).toEqual([]);
  });

  it('counts lines per second over five seconds, and malformed and dropped ones for good', () => {
    const feed = new LogFeed();
    feed.add('a', lines(100), 0);
    feed.add('a', [line('bad', { malformedTiming: true }), line('3 lost', { kind: 'drop' })], 4_000);
    expect(feed.stats(4_000)).toEqual({ linesPerS: 20.4, total: 102, dropped: 1, malformed: 1 });
    expect(feed.stats(5_000)).toEqual({ linesPerS: 0.4, total: 102, dropped: 1, malformed: 1 });
  });

  it('tells that the rate has fallen when no line comes to say so, and that only once', () => {
    const feed = new LogFeed();
    const heard: LogTail[] = [];
    feed.follow((tail) => heard.push(tail), 0, never);
    feed.add('a', lines(10), 0);
    feed.tick(1_000);
    expect(heard.map(({ stats }) => stats.linesPerS)).toEqual([2]);
    for (const nowMs of [5_000, 6_000, 7_000]) feed.tick(nowMs);
    expect(heard.slice(1)).toEqual([
      { lines: [], stats: { linesPerS: 0, total: 10, dropped: 0, malformed: 0 } },
    ]);
  });
});
