import { describe, expect, it } from 'vitest';
import { causeOf } from './failure-cause.ts';

describe('causeOf', () => {
  it('is the same for failures that differ in ids, numbers, times, addresses and quoted values only', () => {
    const alike: [string, string][] = [
      ['job 4711 not found', 'job 4712 not found'],
      ['timed out after 900000 ms', 'timed out after 901250 ms'],
      [
        'user 3f2b8c1e-0d54-4c6b-9a35-1f2e3d4c5b6a is gone',
        'user 9f2b8c1e-0d54-4c6b-9a35-1f2e3d4c5b6a is gone',
      ],
      [
        '429 from https://api.example.com/v1/a?key=1: slow down',
        '429 from https://api.example.com/v1/b: slow down',
      ],
      ['duplicate key "a-1"', 'duplicate key "b-2"'],
      ['expired at 2026-01-09T12:34:56Z', 'expired at 2026-02-10T01:02:03Z'],
      ['no mailbox ann@example.com', 'no mailbox bob@example.org'],
      ['failed\n  at one.ts:1', 'failed\n  at two.ts:2'],
    ];
    for (const [one, other] of alike) expect(causeOf(one)).toBe(causeOf(other));
  });

  it('keeps apart what tells causes apart', () => {
    expect(causeOf('exit code 1')).not.toBe(causeOf('signal SIGKILL'));
    expect(causeOf('HTTP 503')).not.toBe(causeOf('HTTP 429'));
    expect(causeOf('https://a.example.com/x failed')).not.toBe(causeOf('https://b.example.com/x failed'));
  });

  it('is one short line, never empty, also for hostile input', () => {
    expect(causeOf('')).toBe('no message');
    expect(causeOf(`${'('.repeat(100_000)}"`).length).toBeLessThanOrEqual(200);
    expect(causeOf('a\tb   c')).toBe('a b c');
  });
});
