import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataDirectory, ensureDataDirectory } from './data-directory.ts';
import { FileSecrets } from './file-secrets.ts';
import { resolveSecret } from './resolve-secret.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headway-secrets-'));
});
afterEach(() => rm(folder, { recursive: true }));
const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

describe('FileSecrets', () => {
  it('keeps secrets in a file that only its owner can read', async () => {
    const path = join(folder, 'data', 'secrets.json');
    const store = new FileSecrets(path);
    expect(await store.get('mail')).toBeNull();
    // At once: each must see what the others wrote.
    await Promise.all([store.set('mail', 's3cret'), store.set('ssh', 'phrase'), store.delete('none')]);
    expect(await new FileSecrets(path).get('mail')).toBe('s3cret');
    await store.delete('mail');
    expect([await store.get('mail'), await store.get('ssh')]).toEqual([null, 'phrase']);
    expect([await mode(path), await mode(join(folder, 'data'))]).toEqual(['600', '700']);
    expect(await readdir(join(folder, 'data'))).toEqual(['secrets.json']);
  });

  it('refuses a file that others can read, with the command that helps, and goes on after it', async () => {
    const path = join(folder, "it's.json");
    await writeFile(path, '{"mail":"s3cret"}', { mode: 0o644 });
    const store = new FileSecrets(path);
    const command = `chmod 600 '${folder}/it'\\''s.json'`;
    await expect(store.get('mail')).rejects.toMatchObject({
      code: 'secret-missing',
      message: expect.stringContaining(command) as string,
    });
    await expect(store.set('mail', 'x')).rejects.toMatchObject({ code: 'secret-missing' });
    expect(await readFile(path, 'utf8')).toContain('s3cret');
    await chmod(path, 0o600);
    expect(await store.get('mail')).toBe('s3cret');
  });

  it('does not quote a file that it cannot read', async () => {
    const path = join(folder, 'secrets.json');
    await writeFile(path, '{"mail": s3cret}', { mode: 0o600 });
    const error: unknown = await new FileSecrets(path).get('mail').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'secret-missing' });
    expect(String(error)).not.toContain('s3cret');
  });
});

describe('resolveSecret', () => {
  const what = 'the password of connection Mail';
  const from = () => ({
    environment: { PW: 'from env', EMPTY: '' },
    store: new FileSecrets(join(folder, 's.json')),
  });

  it('finds a secret in the environment, a private file or the store', async () => {
    const path = join(folder, 'pw');
    await writeFile(path, ' two words \r\n', { mode: 0o400 });
    await from().store.set('mail', 'kept');
    expect(await resolveSecret({ env: 'PW' }, what, from())).toBe('from env');
    expect(await resolveSecret({ file: path }, what, from())).toBe(' two words ');
    expect(await resolveSecret({ stored: 'mail' }, what, from())).toBe('kept');
  });

  it('says what is missing and how to set it', async () => {
    const open = join(folder, 'open');
    await writeFile(open, 's3cret', { mode: 0o640 });
    const said = async (ref: Parameters<typeof resolveSecret>[0]) => {
      const error: unknown = await resolveSecret(ref, what, from()).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'secret-missing' });
      return String(error);
    };
    expect(await said({ env: 'EMPTY' })).toContain(`${what}: set the environment variable EMPTY`);
    expect(await said({ file: join(folder, 'none') })).toContain(`(it is not there), mode 0600`);
    expect(await said({ file: open })).toContain(`(mode 0640). Run: chmod 600 '${open}'`);
    expect(await said({ stored: 'mail' })).toContain('edit the connection');
  });
});

describe('dataDirectory', () => {
  it.each([
    ['linux', {}, '/home/a/.local/share/headway'],
    ['linux', { XDG_DATA_HOME: '/data' }, '/data/headway'],
    ['linux', { XDG_DATA_HOME: 'relative' }, '/home/a/.local/share/headway'],
    ['darwin', { XDG_DATA_HOME: '/data' }, '/home/a/Library/Application Support/Headway'],
    ['linux', { HEADWAY_DATA: '/own', XDG_DATA_HOME: '/data' }, '/own'],
  ] as const)('on %s with %o is %s', (platform, environment, expected) => {
    expect(dataDirectory(environment, platform, '/home/a')).toBe(expected);
  });

  it('on Windows is in the local application data', () => {
    expect(dataDirectory({ LOCALAPPDATA: 'C:\\Local' }, 'win32', 'C:\\Users\\a')).toBe('C:\\Local\\Headway');
  });

  it('is created for its owner only, and a folder that is there keeps its mode', async () => {
    await ensureDataDirectory(join(folder, 'a', 'b'));
    expect(await mode(join(folder, 'a', 'b'))).toBe('700');
    await chmod(join(folder, 'a'), 0o755);
    await ensureDataDirectory(join(folder, 'a'));
    expect(await mode(join(folder, 'a'))).toBe('755');
    await writeFile(join(folder, 'file'), '');
    await expect(ensureDataDirectory(join(folder, 'file', 'x'))).rejects.toMatchObject({
      code: 'storage-failed',
    });
  });
});
