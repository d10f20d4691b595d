import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TimingReport } from '../../core/timing-report.ts';
import { TimingScan } from './timing-scan.ts';

const HEAD = '2026-01-09 12:34:56 +0000 INFO    ';
const line = (fields: object, tail = ''): string => `${HEAD}[TIMING] ${JSON.stringify(fields)}${tail}\n`;
const scanned = (text: string | Buffer, groupBy: string | null = null, sizes: number[] = []) => {
  const report = new TimingReport();
  const scan = new TimingScan(report, groupBy);
  const bytes = Buffer.from(text);
  let at = 0;
  for (const size of sizes) {
    scan.push(bytes.subarray(at, at + size));
    at += size;
  }
  scan.push(bytes.subarray(at));
  scan.end();
  return report.figures();
};

describe('TimingScan', () => {
  it('reads every stage of every line, whatever else stands in the log', () => {
    const figures = scanned(
      `${HEAD}nothing here\n` +
        line({ server_id: 3, load_ms: 2, deliver_ms: '8.5', total_ms: 11, status: 'success' }) +
        line({ server_id: 3, load_ms: 4, total_ms: 4, status: 'error' }, ' [worker:1] key=value') +
        line({ tenant_id: 'żółw', total_ms: 7, start_time: '2026-01-09T12:00:00Z' }),
    );
    expect(figures.all).toMatchObject({ count: 3, failed: 1 });
    expect(figures.groups.map(({ group, count }) => [group, count])).toEqual([
      ['3', 2],
      ['żółw', 1],
    ]);
    expect(figures.groups[0]?.stages.map(({ stage, count, maxMs }) => [stage, count, maxMs])).toEqual([
      ['load', 2, 4],
      ['deliver', 1, 8.5],
      ['total', 2, 11],
    ]);
    expect(figures.fromMs).toBe(Date.parse('2026-01-09T12:00:00Z'));
  });

  it('counts what it cannot read, and goes on', () => {
    const bad = [
      '[TIMING]\n',
      '[TIMING] {"server_id":3,"total_ms":\n',
      '[TIMING] [1,2]\n',
      '[TIMING] {"server_id":3,"total_ms":-1}\n',
      '[TIMING] {"server_id":3,"total_ms":"many"}\n',
      '[TIMING] {"total_ms":1}\n',
      '[TIMING] {"server_id":3,"total_ms":1,"load_ms":1e999}\n',
    ];
    const figures = scanned(bad.join('') + line({ server_id: 3, total_ms: 1 }));
    expect(figures.malformed).toBe(bad.length);
    expect(figures.all.count).toBe(1);
  });

  it('leaves out a line of two megabytes, also when it never ends', () => {
    const long = `${HEAD}[TIMING] {"server_id":3,"note":"${'x'.repeat(2_097_152)}`;
    const figures = scanned(
      `${long}\n${line({ server_id: 3, total_ms: 1 })}${long}`,
      null,
      Array.from({ length: 40 }, () => 65_536),
    );
    expect(figures).toMatchObject({ malformed: 2, all: { count: 1 } });
  });

  it('groups by any field', () => {
    const text =
      line({ server_id: 1, domain: 'a.example', total_ms: 1 }) + line({ server_id: 2, total_ms: 1 });
    expect(scanned(text, 'domain').groups.map(({ group }) => group)).toEqual(['(none)', 'a.example']);
  });

  it('gives the same whatever the chunks were', () => {
    const text = Array.from({ length: 30 }, (_, i) =>
      i % 3 === 0
        ? `${HEAD}päckchen ${i}\r\n`
        : line({ server_id: `tür-${i % 4}`, load_ms: i, total_ms: 2 * i }),
    ).join('');
    const whole = scanned(text);
    expect(whole.all.count).toBe(20);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 40 }), (sizes) => {
        expect(scanned(text, null, sizes)).toEqual(whole);
      }),
    );
  });

  it('keeps memory bounded: groups and stages beyond the bound count as others', () => {
    const text = Array.from({ length: 10_050 }, (_, i) =>
      line({ server_id: i, [`s${i}_ms`]: 1, total_ms: 1 }),
    ).join('');
    const figures = scanned(text);
    expect(figures.groups).toHaveLength(10_001);
    expect(figures.groups[0]).toMatchObject({ group: '(other)', count: 50 });
    expect(figures.all.stages.length).toBeLessThanOrEqual(66);
  });
});
