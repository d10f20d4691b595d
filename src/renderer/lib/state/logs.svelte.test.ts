import { describe, expect, it } from 'vitest';
import type { Delta } from '../../../contract/api.ts';
import type { LogLine } from '../../../contract/logs.ts';
import type { Backend, StreamListener } from './backend.ts';
import { LogsState } from './logs.svelte.ts';
import { Painter } from './painter.svelte.ts';

/** A backend of one stream, and frames that come when they are told to. */
function stage() {
  let listener: StreamListener<'logs'> | null = null;
  let frame: (() => void) | null = null;
  let nowMs = 0;
  let ended = false;
  const backend: Backend = {
    call: () => Promise.reject(new Error('not called')),
    subscribe: (_stream, _params, given) => {
      // Only the logs are asked for here.
      listener = given as unknown as StreamListener<'logs'>;
      return () => (ended = true);
    },
  };
  const painter = new Painter({
    request: (callback) => {
      frame = callback;
      return 1;
    },
    cancel: () => (frame = null),
    now: () => nowMs,
  });
  const logs = new LogsState(backend, painter, 'mail', () => undefined, 100);
  const tail = (lines: LogLine[]): Delta<'logs'> => ({
    lines,
    stats: { linesPerS: 1, total: 1, dropped: 0, malformed: 0 },
  });
  return {
    logs,
    snapshot: (lines: LogLine[]) => listener?.snapshot(tail(lines)),
    delta: (lines: LogLine[]) => listener?.delta(tail(lines)),
    /** Runs frames until nothing is due: each paints one part. */
    paint: () => {
      while (frame !== null) {
        const due: () => void = frame;
        frame = null;
        nowMs += 100;
        due();
      }
    },
    get ended() {
      return ended;
    },
  };
}
const line = (seq: number, level: LogLine['level'] = 'info'): LogLine => ({
  seq,
  readAtMs: seq,
  atMs: null,
  source: 'a',
  kind: 'line',
  level,
  text: `line ${seq}`,
  timing: null,
});
const lines = (from: number, count: number): LogLine[] =>
  Array.from({ length: count }, (_, at) => line(from + at));
const newest = (logs: LogsState): number | undefined => logs.rows.at(-1)?.line.seq;

describe('LogsState', () => {
  it('shows what came with the next paint, not before', () => {
    const { logs, snapshot, delta, paint } = stage();
    snapshot(lines(0, 3));
    delta(lines(3, 2));
    expect(logs.rows).toHaveLength(0);
    paint();
    expect(newest(logs)).toBe(4);
    expect(logs.range).toMatchObject({ lines: 5 });
  });

  it('stands still while held and counts what passes the filter; following brings all of it', () => {
    const { logs, snapshot, delta, paint } = stage();
    snapshot(lines(0, 3));
    paint();
    logs.setFilter('-7');
    logs.hold();
    delta(lines(3, 10));
    paint();
    expect(newest(logs)).toBe(2);
    expect(logs.waiting).toBe(9);
    logs.follow();
    expect(newest(logs)).toBe(12);
    expect(logs.rows).toHaveLength(12);
    expect(logs.waiting).toBe(0);
  });

  it('keeps the lines somebody reads, however many pass meanwhile', () => {
    const { logs, snapshot, delta, paint } = stage();
    snapshot(lines(0, 50));
    paint();
    logs.choose(logs.rows[10] ?? null, true);
    for (let seq = 50; seq < 5_000; seq += 50) delta(lines(seq, 50));
    paint();
    logs.setFilter('10');
    expect(logs.chosenIndex).toBe(0);
    expect(logs.waiting).toBeGreaterThan(0);
    logs.setFilter('');
    logs.follow();
    expect(newest(logs)).toBe(4_999);
    expect(logs.rows.length).toBeLessThanOrEqual(111);
    expect(logs.chosen).toBeNull();
  });

  it('counts a slow log line by line, and another filter at once', () => {
    const { logs, snapshot, delta, paint } = stage();
    const count = (of: 'all' | 'shown') => logs.histogram?.bars.reduce((sum, bar) => sum + bar[of], 0);
    snapshot(lines(0, 3));
    paint();
    delta(lines(3, 1));
    paint();
    expect(count('all')).toBe(4);
    logs.setFilter('"line 3"');
    expect(count('shown')).toBe(1);
  });

  it('goes from error to error, from the newest on', () => {
    const { logs, snapshot, paint } = stage();
    snapshot([line(0, 'error'), line(1), line(2, 'error'), line(3)]);
    paint();
    expect(logs.moveToBad(1)).toBe(true);
    expect(logs.chosen?.line.seq).toBe(2);
    expect(logs.following).toBe(false);
    expect(logs.moveToBad(1)).toBe(false);
    expect(logs.moveToBad(-1)).toBe(true);
    expect(logs.chosen?.line.seq).toBe(0);
  });

  it('goes on after a lost line, and begins anew with a new backend', () => {
    const { logs, snapshot, delta, paint } = stage();
    snapshot(lines(0, 10));
    paint();
    snapshot(lines(5, 10));
    paint();
    expect(logs.rows.map(({ line: { seq } }) => seq)).toEqual(Array.from({ length: 15 }, (_, seq) => seq));
    snapshot(lines(0, 2));
    delta(lines(2, 1));
    paint();
    expect(logs.rows.map(({ line: { seq } }) => seq)).toEqual([0, 1, 2]);
  });

  it('ends its subscription', () => {
    const play = stage();
    play.logs[Symbol.dispose]();
    expect(play.ended).toBe(true);
  });
});
