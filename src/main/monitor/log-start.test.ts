import { describe, expect, it } from 'vitest';
import { LogStart } from './log-start.ts';
import { timingLine } from './plain-monitor.ts';

const START = 1_700_000_000_000;
const lineAt = (atMs: number | null) => ({ ...timingLine('3', 40), atMs });

describe('LogStart', () => {
  it('goes by the own time of the lines with which a log begins', () => {
    const start = new LogStart(START);
    start.live('a', START + 500);
    const old = start.timeOf('a', lineAt(START - 86_400_000), START + 600);
    expect(old).toBe(START - 86_400_000);
    expect(start.isNews(old)).toBe(false);
    const fresh = start.timeOf('a', lineAt(START + 550), START + 600);
    expect(fresh).toBe(START + 550);
    expect(start.isNews(fresh)).toBe(true);
  });

  it('prefers the end of the attempt, which is finer than a stamp of whole seconds', () => {
    const start = new LogStart(START + 300);
    start.live('a', START + 400);
    const line = lineAt(START);
    if (line.timing !== null) line.timing.startedAtMs = START + 310;
    expect(start.timeOf('a', line, START + 500)).toBe(START + 350);
  });

  it('takes a line without a time, or with one to come, for one of now', () => {
    const start = new LogStart(START);
    start.live('a', START);
    expect(start.timeOf('a', lineAt(null), START + 100)).toBe(START + 100);
    expect(start.timeOf('a', lineAt(START + 7_200_000), START + 100)).toBe(START + 100);
  });

  it('goes by when a line was read once the log has begun, whatever the clock of its worker', () => {
    const start = new LogStart(START);
    start.live('a', START);
    const wrongZone = lineAt(START - 5 * 3_600_000);
    expect(start.timeOf('a', wrongZone, START + 3_001)).toBe(START + 3_001);
    // A reconnect goes on where it was: what was written meanwhile is new.
    start.live('a', START + 60_000);
    expect(start.timeOf('a', wrongZone, START + 60_100)).toBe(START + 60_100);
  });

  it('lets every input begin for itself', () => {
    const start = new LogStart(START);
    start.live('a', START);
    start.live('b', START + 50_000);
    const line = lineAt(START - 60_000);
    expect(start.timeOf('a', line, START + 50_100)).toBe(START + 50_100);
    expect(start.timeOf('b', line, START + 50_100)).toBe(START - 60_000);
  });
});
