import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../../contract/errors.ts';
import { resolveValues } from './declared-values.ts';

const secrets: Record<string, string> = { LONG: 'abcdef', LONGER: 'abcdefgh', SHORT: 'a' };
const read = (ref: object): Promise<string> => Promise.resolve(secrets[String(Object.values(ref)[0])] ?? '');

describe('declared values', () => {
  it('are plain or read from where the secret is', async () => {
    const { values } = await resolveValues({ A: 'plain', B: { env: 'LONG' } }, read, String);
    expect(values).toEqual({ A: 'plain', B: 'abcdef' });
  });

  it('are hidden when they are secrets: the longest first, and none so short that it is in every text', async () => {
    const { hide } = await resolveValues(
      { A: { env: 'LONG' }, B: { env: 'LONGER' }, C: { env: 'SHORT' }, D: 'plain' },
      read,
      String,
    );
    expect(hide('a plain abcdefgh, abcdef and abcdef')).toBe('a plain [secret], [secret] and [secret]');
  });

  it('without a value fail the attempt, which is tried again, with words that hold no secret', async () => {
    const missing = new HeadwayError('secret-missing', 'No value for the header X: set it.');
    await expect(
      resolveValues({ A: { env: 'X' } }, () => Promise.reject(missing), String),
    ).rejects.toMatchObject({
      class: 'transient',
      message: 'No value for the header X: set it.',
    });
    const odd = new Error('the keyring says: abcdef');
    await expect(
      resolveValues(
        { A: { env: 'X' } },
        () => Promise.reject(odd),
        (key) => `the header ${key}`,
      ),
    ).rejects.toMatchObject({ message: 'No value for the header A.' });
  });
});
