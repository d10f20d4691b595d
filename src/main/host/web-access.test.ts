import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebAccess } from './web-access.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'headway-access-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a token signs in once, and is another one then', async () => {
  const access = await WebAccess.open(directory, () => 0);
  const { token } = access;
  expect(await access.exchange(`${token}x`)).toBeNull();
  const session = await access.exchange(token);
  expect(session).not.toBeNull();
  expect(access.isSession(session ?? '')).toBe(true);
  expect(await access.exchange(token)).toBeNull();
  expect(access.token).not.toBe(token);
  expect(access.isSession(access.token)).toBe(false);
});

test('two exchanges of one token at once give one session', async () => {
  const access = await WebAccess.open(directory, () => 0);
  const { token } = access;
  const sessions = await Promise.all([access.exchange(token), access.exchange(token)]);
  expect(sessions.filter((session) => session !== null)).toHaveLength(1);
});

test('sessions outlive a restart, end after 30 days, and do not stand in the file', async () => {
  let nowMs = 0;
  const session = await (async () => {
    const access = await WebAccess.open(directory, () => nowMs);
    return (await access.exchange(access.token)) ?? '';
  })();
  const restarted = await WebAccess.open(directory, () => nowMs);
  expect(restarted.isSession(session)).toBe(true);
  expect(await readFile(restarted.file, 'utf8')).not.toContain(session);
  nowMs = 31 * 24 * 3600 * 1000;
  expect(restarted.isSession(session)).toBe(false);
});

test('the file is for its owner only, also when it was open before', async () => {
  const file = join(directory, 'web-access.json');
  await writeFile(file, 'not ours', { mode: 0o644 });
  const access = await WebAccess.open(directory, () => 0);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(access.token).toHaveLength(43);
});
