import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogLevel } from '../../contract/logs.ts';
import { parseLogFilter } from '../../core/log-filter.ts';
import { readTiming } from '../logs/read-timing.ts';
import { BlockScan } from './block-scan.ts';
import { OpenBlock } from './open-block.ts';
import { encodeHead } from './record.ts';
import { planSearch } from './search-plan.ts';
import { mayMatch } from './search-segment.ts';

interface Line {
  source: number;
  level: LogLevel | null;
  kind: 'line' | 'gap';
  text: string;
}
const sources = ['worker@mail-1 /var/log/worker.log', 'worker@Kelvin-2 journal'];
const names: [string, string][] = [
  ['3', 'mailflow'],
  ['17', 'Shop "one"'],
  ['grün', 'Green'],
];
const nameOf = new Map(names);
const everything = { fromMs: -Infinity, toMs: Infinity };

/** Which lines a search finds, by their place; `known`: with the block's flags, as of a block that is indexed. */
function found(lines: Line[], filter: string, known: boolean): number[] {
  const records = lines.map(({ text, ...head }, i) =>
    Buffer.from(`${encodeHead({ ...head, readAtMs: i, atMs: null })}${text}\n`),
  );
  const bytes = Buffer.concat(records);
  const open = new OpenBlock(0);
  open.add(bytes);
  const plan = planSearch(filter, names);
  const index = known ? { block: open.block, bitmap: open.bitmap } : null;
  if (!mayMatch(plan, { offset: 0, bytes: bytes.length, index }, everything)) return [];
  const places: number[] = [];
  new BlockScan(plan, sources, everything).scan(
    bytes,
    index,
    () => false,
    ({ readAtMs }) => places.push(readAtMs),
  );
  return places;
}

/** The same by asking the filter for every line. */
function truth(lines: Line[], text: string): number[] {
  const filter = parseLogFilter(text, (id) => nameOf.get(id));
  return lines.flatMap(({ source, level, kind, text }, i) => {
    const timing = kind === 'line' ? readTiming(text) : 'none';
    const record = typeof timing === 'object' ? timing.record : null;
    return filter.matches({ source: sources[source] ?? '', level, text, timing: record }) ? [i] : [];
  });
}

const word = fc.constantFrom(
  ...[
    'refused',
    'Refused',
    'REFUSED',
    'grüße',
    'GRÜSSE',
    '漢字',
    'İstanbul',
    '\u212Aelvin',
    'kelvin',
    'ſ',
    '🙂',
  ],
  ...['timeout', 'a', 'li0', '\\', '\\"', '[TIMING]', 'mailflow', '3', '[cut', 'x y', '\t', 'queue', '='],
);
const value = fc.constantFrom<unknown>(
  ...[3, '3', ' 3 ', '03', 3.0, -0, 1e21, 2 ** 80, 1e-7, 17, '17', 'MAILFLOW', 'grün', 'GRÜN', ''],
  ...[
    '\u212Aelvin',
    'kelvin',
    'a"b',
    'a\\b',
    'İ',
    null,
    true,
    2_500,
    '2500',
    0.5,
    1000,
    1001,
    '1e3',
    ' 1001',
  ],
);
const key = fc.constantFrom(
  ...[
    'server_id',
    'tenant_id',
    'tenant',
    'queue',
    'queue_id',
    'message_id',
    'domain',
    'kind',
    'error',
    'status',
  ],
  ...['message_size', 'size', 'total_ms', 'deliver_ms', 'attempt', 'attempt_ms', 'Server_ID'],
);
/** Each character by its number. */
const coded = (text: string): string =>
  Array.from(text.split(''), (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
/** JSON as others write it: blanks, escapes, numbers in other forms. */
const json = fc
  .tuple(
    fc.array(fc.tuple(key, value), { maxLength: 6 }),
    fc.constantFrom('plain', 'spaced', 'escaped', 'exponent', 'long'),
  )
  .map(([fields, form]) => {
    const all = [['server_id', 3], ['total_ms', 1_500], ...fields];
    const member = (name: unknown, of: unknown): string => {
      const [quoted, written] = [JSON.stringify(name), JSON.stringify(of)];
      if (form === 'spaced') return `${quoted} :  ${written}`;
      if (form === 'escaped')
        return `"${coded(String(name).charAt(0))}${String(name).slice(1)}":${typeof of === 'string' ? `"${coded(of)}"` : written}`;
      if (form === 'exponent' && typeof of === 'number') return `${quoted}:${of.toExponential()}`;
      if (form === 'long' && of === 3) return `${quoted}:2.99999999999999999999`;
      return `${quoted}:${written}`;
    };
    return `{${all.map(([name, of]) => member(name, of)).join(form === 'spaced' ? ' , ' : ',')}}`;
  });
const pair = fc
  .tuple(key, fc.constantFrom('=', '":', '": ', '="'), value)
  .map(([name, sign, of]) => `${sign.startsWith('"') ? '"' : ''}${name}${sign}${String(of)}`);
const text = fc
  .array(
    fc.oneof(
      word,
      pair,
      json.map((object) => `[TIMING] ${object}`),
      fc.string({ unit: 'binary' }),
    ),
    {
      maxLength: 5,
    },
  )
  .map((parts) => parts.join(' ').replaceAll('\n', '').toWellFormed());
const line: fc.Arbitrary<Line> = fc.record({
  source: fc.nat(1),
  level: fc.constantFrom(null, 'debug' as const, 'info' as const, 'warn' as const, 'error' as const),
  kind: fc.constantFrom('line' as const, 'line' as const, 'gap' as const),
  text,
});
const bare = fc.oneof(word, value.map(String)).map((one) => one.replaceAll('"', ''));
const term = fc
  .tuple(
    fc.constantFrom('', '', '', '-'),
    fc.oneof(
      bare.map((one) => `"${one}"`),
      bare,
      fc.tuple(key, fc.constantFrom('=', '!='), bare).map(([name, sign, of]) => `${name}${sign}"${of}"`),
      fc
        .tuple(
          fc.constantFrom('total_ms', 'deliver_ms', 'size', 'attempt', 'message_size'),
          fc.constantFrom('=', '!=', '>', '>=', '<', '<='),
          fc.constantFrom('0', '3', '1000', '1500', '2500', '0.5'),
        )
        .map((parts) => parts.join('')),
      fc
        .tuple(fc.constantFrom('tenant', 'server', 'job', 'domain', 'kind', 'error', 'source'), bare)
        .map(([name, of]) => `${name}="${of}"`),
      fc.constantFrom(
        'status=success',
        'status=error',
        'status!=error',
        'level>=warn',
        'level!=info',
        'level=debug',
      ),
      fc.constantFrom('tenant=mailflow', 'tenant=green', 'source=kelvin', 'source=mail-1'),
    ),
  )
  .map(([minus, one]) => minus + one);
const filter = fc.array(term, { minLength: 1, maxLength: 3 }).map((terms) => terms.join(' '));

describe('a search of a block', () => {
  it('finds what the filter itself matches, no more and no less', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), filter, fc.boolean(), (lines, asked, known) => {
        expect(found(lines, asked, known)).toEqual(truth(lines, asked));
      }),
      { numRuns: 3_000 },
    );
  });

  it('finds lines across the pieces that it reads in', () => {
    const lines = Array.from({ length: 3_000 }, (_, i): Line => ({
      source: i % 2,
      level: 'info',
      kind: 'line',
      text: `line ${i} ${i % 7 === 0 ? 'Needle' : 'hay'} ${'x'.repeat(i % 91)}`,
    }));
    lines[1_500] = { source: 0, level: 'info', kind: 'line', text: `${'long '.repeat(40_000)} needle` };
    expect(found(lines, 'needle', true)).toEqual(truth(lines, 'needle'));
    expect(found(lines, 'hay source=kelvin', false)).toEqual(truth(lines, 'hay source=kelvin'));
  });

  it('passes over a block that lacks a word, a level or a value', () => {
    const lines: Line[] = [
      {
        source: 0,
        level: 'info',
        kind: 'line',
        text: '[TIMING] {"server_id":3,"queue_id":4711,"total_ms":5}',
      },
    ];
    const open = new OpenBlock(0);
    open.add(
      Buffer.from(
        lines.map((one) => `${encodeHead({ ...one, readAtMs: 1, atMs: null })}${one.text}\n`).join(''),
      ),
    );
    const block = { offset: 0, bytes: 1, index: { block: open.block, bitmap: open.bitmap } };
    const passes = (asked: string): boolean => mayMatch(planSearch(asked, names), block, everything);
    for (const asked of [
      'absent',
      'level>=warn',
      'job=4712',
      'status=success absent',
      'deliver_ms>0',
      'attempt=3',
    ])
      expect(passes(asked), asked).toBe(false);
    for (const asked of [
      'timing',
      'level>=info',
      'job=4711',
      'total_ms>100',
      '-absent',
      'zz',
      'tenant=mailflow',
    ])
      expect(passes(asked), asked).toBe(true);
  });
});
