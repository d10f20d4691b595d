import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeSafeStorage } from './fake-electron.ts';
import { SafeStorageSecrets } from './safe-storage-secrets.ts';

let directory: string;
let file: string;
let safeStorage: FakeSafeStorage;
let consent: boolean;
let asked: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'headway-secrets-'));
  file = join(directory, 'data', 'secrets.json');
  safeStorage = new FakeSafeStorage();
  consent = true;
  asked = 0;
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = (platform: NodeJS.Platform = 'linux') =>
  SafeStorageSecrets.open({
    safeStorage,
    platform,
    file,
    consentToWeak: () => {
      asked += 1;
      return Promise.resolve(consent);
    },
  });

test('what is set is got again by another run, and stands encrypted in a file for its owner only', async () => {
  const secrets = await open();
  await Promise.all([secrets.set('a', 'hunter2'), secrets.set('b', 'pässword')]);
  await secrets.set('c', 'gone');
  await secrets.delete('c');
  const again = await open();
  expect(await Promise.all(['a', 'b', 'c'].map((key) => again.get(key)))).toEqual([
    'hunter2',
    'pässword',
    null,
  ]);
  expect(await readFile(file, 'utf8')).not.toContain('hunter2');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(asked).toBe(0);
  expect(again.description).toContain('gnome_libsecret');
});

test('without a keyring the description says so, and nothing is stored without consent', async () => {
  safeStorage.backend = 'basic_text';
  consent = false;
  const secrets = await open();
  expect(secrets.description).toContain('Weak');
  await expect(secrets.set('a', 'hunter2')).rejects.toMatchObject({ code: 'storage-failed' });
  await expect(secrets.set('b', 'hunter2')).rejects.toMatchObject({ code: 'storage-failed' });
  expect(asked).toBe(1);
  expect(await secrets.get('a')).toBeNull();

  consent = true;
  const later = await open();
  await later.set('a', 'hunter2');
  expect(await later.get('a')).toBe('hunter2');
});

test('without encryption nothing is stored, and the error says what to do', async () => {
  safeStorage.available = false;
  const secrets = await open();
  const refused = secrets.set('a', 'hunter2');
  await expect(refused).rejects.toMatchObject({ code: 'storage-failed' });
  await expect(refused).rejects.toThrow('environment variable');
  expect(asked).toBe(0);
});

test('a secret of another keyring is asked for again; the file is left as it is', async () => {
  await (await open()).set('a', 'hunter2');
  safeStorage.key = 0x55;
  await expect((await open()).get('a')).rejects.toMatchObject({ code: 'secret-missing' });
  safeStorage.key = 0xaa;
  expect(await (await open()).get('a')).toBe('hunter2');
});

test('a rotated key has the value encrypted anew', async () => {
  const secrets = await open();
  await secrets.set('a', 'hunter2');
  const before = await stat(file);
  safeStorage.rotated = true;
  expect(await secrets.get('a')).toBe('hunter2');
  expect((await stat(file)).ino).not.toBe(before.ino);
});

test('a spoilt file is named and not overwritten', async () => {
  await (await open()).set('a', 'hunter2');
  await writeFile(file, '{"half');
  const secrets = await open();
  await expect(secrets.set('b', 'x')).rejects.toThrow(file);
  expect(await readFile(file, 'utf8')).toBe('{"half');
});
