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

  it('means the same by a log of objects that look alike as by each of them alone', () => {
    const number = fc.oneof(
      fc.integer({ min: -5, max: 1_000_000 }),
      fc.double({ min: 0, max: 1e7, noNaN: true }),
      fc.integer({ min: 0, max: 99_999 }).map((cents) => cents / 100),
    );
    const word = fc.oneof(
      fc.constantFrom('success', 'ok', 'error', '', ' 3', '3', 'żółw', 'a"b', 'back\\slash', 'x'.repeat(300)),
      fc.string({ maxLength: 12, unit: 'binary' }),
    );
    const value = fc.oneof(
      { weight: 8, arbitrary: number },
      { weight: 3, arbitrary: word },
      { weight: 1, arbitrary: fc.constantFrom(null, true, [1], { load_ms: 3 }) },
    );
    const start = fc.oneof(
      fc
        .date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true })
        .map((at) => at.toISOString()),
      fc.constantFrom(
        '2026-02-30T00:00:00Z',
        '2026-01-09T24:00:00Z',
        '2026-01-09 12:00:00',
        1_767_326_645,
        null,
      ),
    );
    const names = [
      'server_id',
      'tenant',
      'load_ms',
      'total_ms',
      'deliver_ms',
      'status',
      'error',
      'start_time',
      'note',
      'q.x-1',
    ];
    const form = fc
      .subarray(names, { minLength: 3 })
      .chain((chosen) => fc.shuffledSubarray(chosen, { minLength: chosen.length }));
    const log = form.chain((fields) =>
      fc.array(
        fc
          .tuple(
            ...fields.map((name) => (name === 'start_time' ? start : name.endsWith('_ms') ? number : value)),
          )
          .map((values) => Object.fromEntries(fields.map((name, i) => [name, values[i]]))),
        { minLength: 2, maxLength: 8 },
      ),
    );
    const tails = ['', ' [worker:1] key=value', '}', ' [TIMING] {"server_id":1,"total_ms":1}'];
    fc.assert(
      fc.property(
        log,
        fc.constantFrom(...tails),
        fc.constantFrom(null, 'note', 'server_id'),
        (objects, tail, groupBy) => {
          const together = scanned(objects.map((fields) => line(fields, tail)).join(''), groupBy);
          const alone = new TimingReport();
          for (const fields of objects) {
            const one = new TimingReport();
            const scan = new TimingScan(one, groupBy);
            scan.push(Buffer.from(line(fields, tail)));
            scan.end();
            alone.merge(one.encode());
          }
          expect(together).toEqual(alone.figures());
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
