import { describe, expect, it } from 'vitest';
import { bodyOf, pairsOf, quoted, shortSource } from './log-line.ts';

describe('bodyOf', () => {
  it.each([
    ['2026-01-09 12:34:56 +0000 INFO    text key=value', 'text key=value'],
    ['2026-01-09T12:34:56.789Z [WARN] text', 'text'],
    ['Jan  9 12:34:56 mail-1 postal: text', 'mail-1 postal: text'],
    ['no time here', 'no time here'],
  ])('takes time and level from the head of %s', (text, body) => {
    expect(bodyOf({ text, atMs: 1, level: 'info' })).toBe(body);
  });

  it('leaves what was not understood as a time or a level', () => {
    const text = '2026-01-09 12:34:56 INFO x';
    expect(bodyOf({ text, atMs: null, level: null })).toBe(text);
  });
});

describe('pairsOf', () => {
  it('reads both ways of writing a pair, and no prose', () => {
    expect(pairsOf('failed: 451 server_id=3 note="two words" {"queue_id": 8, "ok":"yes"}')).toEqual([
      { name: 'server_id', value: '3' },
      { name: 'note', value: 'two words' },
      { name: 'queue_id', value: '8' },
      { name: 'ok', value: 'yes' },
    ]);
  });
});

describe('labels and terms', () => {
  it('shortens a source to its host', () => {
    expect(shortSource('worker@mail-1:22 /var/log/postal.log')).toBe('mail-1');
    expect(shortSource('this computer')).toBe('this computer');
  });
  it('quotes what has a blank', () => {
    expect(quoted('a b')).toBe('"a b"');
    expect(quoted('a"b')).toBe('"a b"');
    expect(quoted('451')).toBe('451');
  });
});
