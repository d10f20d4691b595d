import { describe, expect, it } from 'vitest';
import { shownPayload } from './shown-payload.ts';

const show = (payload: unknown, paths: string[] = [], limit?: number) =>
  shownPayload(JSON.stringify(payload), paths, limit);
const shownValue = (payload: unknown, paths: string[] = []): unknown => JSON.parse(show(payload, paths).text);

describe('shownPayload', () => {
  it('blacks out the fields that the kind names, through objects and lists', () => {
    const payload = {
      user: { email: 'a@b.c', name: 'A' },
      items: [{ pin: '1', size: 2 }, { pin: ['x', { y: 1 }] }],
      email: 'stays',
    };
    expect(shownValue(payload, ['user.email', 'items.*.pin'])).toEqual({
      user: { email: 'redacted', name: 'A' },
      items: [{ pin: 'redacted', size: 2 }, { pin: 'redacted' }],
      email: 'stays',
    });
    expect(shownValue([{ a: 1 }, { a: 2 }], ['1'])).toEqual([{ a: 1 }, 'redacted']);
    expect(shownValue({ a: { b: 1 } }, ['*'])).toEqual({ a: 'redacted' });
  });

  it('blacks out what looks like a secret without being told', () => {
    const payload = {
      password: 'p',
      dbPasswd: 'p',
      api_key: 'k',
      accessToken: 't',
      Authorization: 'Bearer x',
      clientSecret: { nested: 'deep', more: [1, 2] },
      max_tokens: 200,
      title: 'the password is in the vault',
    };
    expect(shownValue(payload)).toEqual({
      password: 'redacted',
      dbPasswd: 'redacted',
      api_key: 'redacted',
      accessToken: 'redacted',
      Authorization: 'redacted',
      clientSecret: 'redacted',
      max_tokens: 200,
      title: 'the password is in the vault',
    });
  });

  it('cuts a long payload, and shows no piece of a secret that the cut runs through', () => {
    const secret = 's3cr3t'.repeat(100);
    for (let limit = 1; limit < 120; limit++) {
      const literal = show({ a: 'x'.repeat(20), password: secret, b: 1 }, [], limit);
      expect(literal.shortened).toBe(true);
      expect(literal.text).not.toContain('s3c');
      const nested = show({ a: 1, credentials: { list: [1, { key: secret }] } }, [], limit);
      expect(nested.text).not.toContain('s3c');
    }
    expect(show({ a: 1 }, [], 7)).toEqual({ text: '{"a":1}', shortened: false });
  });

  it('shows plain values, and nothing of what is nested too deep to be read', () => {
    expect(shownValue('text')).toBe('text');
    expect(shownValue(null)).toBeNull();
    expect(shownPayload('['.repeat(60_000), [])).toEqual({ text: '', shortened: true });
  });
});
