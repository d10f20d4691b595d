import { describe, expect, it } from 'vitest';
import { LineSplitter } from './line-splitter.ts';
import { parseLine, readLevel, readTimestamp } from './parse-line.ts';
import { balancedObject, readTiming } from './read-timing.ts';

const NOW = Date.UTC(2026, 0, 9, 12, 40);
const AT = Date.UTC(2026, 0, 9, 12, 34, 56);

/** A small seeded generator (mulberry32), so that a failing run can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe('readTimestamp', () => {
  it.each([
    ['2026-01-09 12:34:56 +0000 INFO    text', AT],
    ['2026-01-09T12:34:56Z text', AT],
    ['2026-01-09T14:34:56.789+02:00 text', AT + 789],
    ['2026-01-09T12:34:56.789123456Z text', AT + 789],
    ['[2026-01-09 12:34:56,789] text', AT + 789],
    ['2026/01/09 12:34:56 [error] 1#1: text', AT],
    ['I, [2026-01-09T12:34:56.123456 #7]  INFO -- : text', AT + 123],
    ['Jan  9 12:34:56 host postal[7]: text', AT],
    ['<14>Jan  9 12:34:56 host postal[7]: text', AT],
    ['Dec 31 23:00:00 host text', Date.UTC(2025, 11, 31, 23)],
    ['text of 2026', null],
    ['2026-13-09 12:34:56 text', null],
    ['', null],
  ])('%s', (line, expected) => {
    expect(readTimestamp(line, NOW)).toBe(expected);
  });
});

describe('readLevel', () => {
  it.each([
    ['2026-01-09 12:34:56 +0000 INFO    an ERROR was seen', 'info'],
    ['WARN  x', 'warn'],
    ['2026/01/09 12:34:56 [crit] x', 'error'],
    ['ts=1 level=debug msg=x', 'debug'],
    ['{"level":"warning","msg":"x"}', 'warn'],
    ['no error here', null],
    ['[constructor] x', null],
  ])('%s', (line, expected) => {
    expect(readLevel(line)).toBe(expected);
  });
});

describe('readTiming', () => {
  const json =
    '{"message_id":77,"server_id":3,"queue_id":"501","domain":"example.com","start_time":"2026-01-09T12:34:50Z",' +
    '"message_size":"2048","wait_ms":300000,"load_ms":1.5,"inspect_ms":"20","dkim_ms":3,"deliver_ms":40,' +
    '"total_ms":66,"status":"success","error":null}';

  it("reads Postal's line, with tags after the object", () => {
    const line = parseLine(`2026-01-09 12:34:56 +0000 INFO    [TIMING] ${json} worker=2 {other}`, NOW);
    expect(line).toMatchObject({ kind: 'line', atMs: AT, level: 'info', malformedTiming: false });
    expect(line.timing).toEqual({
      tenantId: '3',
      jobId: '501',
      kind: 'example.com',
      startedAtMs: Date.UTC(2026, 0, 9, 12, 34, 50),
      totalMs: 66,
      stages: { wait: 300_000, load: 1.5, inspect: 20, dkim: 3, deliver: 40 },
      status: 'success',
      error: null,
      sizeBytes: 2048,
    });
    expect(Object.keys(line.timing?.stages ?? {})).toEqual(['wait', 'load', 'inspect', 'dkim', 'deliver']);
  });

  it('falls back to other names, and lets an error speak for a missing status', () => {
    expect(readTiming('[TIMING] {"tenant":"a","total_ms":"12","error":"550 \\u001b[1mno"}')).toEqual({
      record: expect.objectContaining({
        tenantId: 'a',
        jobId: null,
        status: 'error',
        error: '550 no',
      }) as unknown,
    });
    expect(readTiming('[TIMING]{"queue":"mail","job_id":1,"total_ms":0}')).toMatchObject({
      record: { tenantId: 'mail', jobId: '1', status: 'success' },
    });
  });

  it.each([
    '[TIMING]',
    '[TIMING] nothing',
    '[TIMING] {"server_id":1,"total_ms":5',
    '[TIMING] {"server_id":1}',
    '[TIMING] {"total_ms":5}',
    '[TIMING] {"server_id":1,"total_ms":-5}',
    '[TIMING] {"server_id":1,"total_ms":"NaN"}',
    '[TIMING] {"server_id":1,"total_ms":1e999}',
    '[TIMING] {"server_id":1,"total_ms":5,"load_ms":-1}',
    '[TIMING] {server_id:1}',
    '[TIMING] {"server_id":{"a":1},"total_ms":5}',
  ])('flags %s as malformed', (line) => {
    expect(readTiming(line)).toBe('malformed');
    expect(parseLine(line, NOW)).toMatchObject({ timing: null, malformedTiming: true, text: line });
  });

  it('finds the end of the object past braces and quotes in strings, and of nested objects', () => {
    const object = '{"a":"}\\"{","b":{"c":[{}]}}';
    expect(balancedObject(`  ${object}} tail`, 0)).toBe(object);
    expect(balancedObject('{"a":"\\', 0)).toBeNull();
  });

  it('is not led astray by hostile names', () => {
    const line = '[TIMING] {"server_id":1,"total_ms":5,"__proto___ms":7,"constructor_ms":8}';
    const found = readTiming(line);
    expect(typeof found).toBe('object');
    expect(({} as Record<string, unknown>)['__proto__']).toBe(Object.prototype);
  });
});

describe('any bytes at all', () => {
  it('become lines of inert text without an exception', () => {
    const random = seeded(20_260_109);
    const pieces = [
      '[TIMING] {"server_id":1,"total_ms":2',
      '}',
      '{',
      '"',
      '\\',
      '\n',
      '2026-01-09 12:34:56',
      '\u001b[',
    ];
    const splitter = new LineSplitter();
    let lines = 0;
    for (let round = 0; round < 3_000; round += 1) {
      const noise = Buffer.from(
        Array.from({ length: Math.floor(random() * 60) }, () => Math.floor(random() * 256)),
      );
      const piece = Buffer.from(pieces[Math.floor(random() * pieces.length)] ?? '');
      for (const line of splitter.push(Buffer.concat([piece, noise]))) {
        const parsed = parseLine(line, NOW);
        // eslint-disable-next-line no-control-regex -- the point of the test
        expect(parsed.text).not.toMatch(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/);
        expect(parsed.timing !== null && parsed.malformedTiming).toBe(false);
        lines += 1;
      }
    }
    expect(lines).toBeGreaterThan(500);
  });
});
