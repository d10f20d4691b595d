import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HostKeys } from './host-keys.ts';
import { fingerprint, judgeHostKey, knownKeyTypes, parseKnownHosts } from './known-hosts.ts';

const blob = (type: string, seed: number): Buffer => {
  const name = Buffer.from(type);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(name.length);
  return Buffer.concat([length, name, Buffer.alloc(40, seed)]);
};
const first = blob('ssh-ed25519', 1).toString('base64');
const second = blob('ssh-ed25519', 2).toString('base64');
const rsa = blob('ssh-rsa', 3).toString('base64');
const judge = (text: string, host: string, port: number, key: string) =>
  judgeHostKey(parseKnownHosts(text, 'file'), host, port, key);

describe('a known_hosts file', () => {
  it('knows plain names, names with a port, and several names in one line', () => {
    expect(judge(`alpha,10.0.0.1 ssh-ed25519 ${first} comment`, '10.0.0.1', 22, first)).toEqual({
      is: 'known',
    });
    expect(judge(`[alpha]:2222 ssh-ed25519 ${first}`, 'Alpha', 2222, first)).toEqual({ is: 'known' });
    expect(judge(`[alpha]:2222 ssh-ed25519 ${first}`, 'alpha', 22, first)).toEqual({ is: 'unknown' });
    expect(judge('', 'alpha', 22, first)).toEqual({ is: 'unknown' });
  });

  it('accepts a key filed without the port, but does not hold another one against the host', () => {
    expect(judge(`alpha ssh-ed25519 ${first}`, 'alpha', 2222, first)).toEqual({ is: 'known' });
    expect(judge(`alpha ssh-ed25519 ${first}`, 'alpha', 2222, second)).toEqual({ is: 'unknown' });
  });

  it('understands wildcards and negation', () => {
    const text = `*.example.com,!bad.example.com ssh-ed25519 ${first}\nweb? ssh-ed25519 ${second}\n`;
    expect(judge(text, 'a.example.com', 22, first)).toEqual({ is: 'known' });
    expect(judge(text, 'bad.example.com', 22, first)).toEqual({ is: 'unknown' });
    expect(judge(text, 'aXexample.com', 22, first)).toEqual({ is: 'unknown' });
    expect(judge(text, 'web7', 22, second)).toEqual({ is: 'known' });
    expect(judge(text, 'web77', 22, second)).toEqual({ is: 'unknown' });
  });

  it('names the line of the old key when a server shows another', () => {
    const text = `# comment\nalpha ssh-rsa ${rsa}\nalpha ssh-ed25519 ${first}\n`;
    expect(judge(text, 'alpha', 22, second)).toEqual({ is: 'changed', place: 'file:3' });
    expect(judge(text, 'alpha', 22, rsa)).toEqual({ is: 'known' });
    expect(knownKeyTypes(parseKnownHosts(text, 'file'), 'alpha', 22)).toEqual(['ssh-rsa', 'ssh-ed25519']);
  });

  it('counts a key of an unfiled type as a change, since the filed type was asked for first', () => {
    expect(judge(`alpha ssh-ed25519 ${first}`, 'alpha', 22, rsa)).toEqual({ is: 'changed', place: 'file:1' });
  });

  it('refuses revoked keys even when another line knows them', () => {
    const text = `alpha ssh-ed25519 ${first}\n@revoked * ssh-ed25519 ${first}\n`;
    expect(judge(text, 'alpha', 22, first)).toEqual({ is: 'revoked', place: 'file:2' });
  });

  it('takes no certificate authority for a host key', () => {
    expect(judge(`@cert-authority * ssh-ed25519 ${first}`, 'alpha', 22, second)).toEqual({ is: 'unknown' });
  });
});

describe('HostKeys', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'headway-keys-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const open = () =>
    new HostKeys({ readOnlyFiles: [join(folder, 'theirs')], ownFile: join(folder, 'data', 'known_hosts') });

  it('asks once for an unknown key, and remembers the answer in its own file only', async () => {
    const key = blob('ssh-ed25519', 9);
    const keys = open();
    const refusal = await keys.check('alpha', 2222, key).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: 'host-key-unknown',
      details: { host: 'alpha', port: '2222', keyType: 'ssh-ed25519', fingerprint: fingerprint(key) },
    });
    await expect(keys.accept('alpha', 2222, 'SHA256:other')).rejects.toMatchObject({
      code: 'host-key-changed',
    });
    await expect(keys.accept('beta', 22, fingerprint(key))).rejects.toMatchObject({ code: 'not-found' });
    await keys.accept('alpha', 2222, fingerprint(key));
    await open().check('alpha', 2222, key);
    const own = join(folder, 'data', 'known_hosts');
    expect(statSync(own).mode & 0o777).toBe(0o600);
    expect(readFileSync(own, 'utf8')).toBe(`[alpha]:2222 ssh-ed25519 ${key.toString('base64')}\n`);
  });

  it('refuses a changed key and says which line is in the way', async () => {
    writeFileSync(join(folder, 'theirs'), `alpha ssh-ed25519 ${first}\n`);
    const refusal = open().check('alpha', 22, Buffer.from(second, 'base64'));
    await expect(refusal).rejects.toMatchObject({ code: 'host-key-changed' });
    await expect(refusal).rejects.toThrow(`remove ${join(folder, 'theirs')}:1`);
  });

  it('reads names that ssh-keygen has hashed, and prints the fingerprint that ssh-keygen prints', async () => {
    const key = join(folder, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const [type = '', encoded = ''] = readFileSync(`${key}.pub`, 'utf8').split(' ');
    const theirs = join(folder, 'theirs');
    writeFileSync(theirs, `[alpha]:2222 ${type} ${encoded}\n`);
    execFileSync('ssh-keygen', ['-q', '-H', '-f', theirs], { stdio: 'ignore' });
    expect(readFileSync(theirs, 'utf8')).toMatch(/^\|1\|/);
    await open().check('alpha', 2222, Buffer.from(encoded, 'base64'));
    await expect(open().check('beta', 2222, Buffer.from(encoded, 'base64'))).rejects.toThrow('not known yet');
    const printed = execFileSync('ssh-keygen', ['-l', '-f', `${key}.pub`], { encoding: 'utf8' });
    expect(printed).toContain(fingerprint(Buffer.from(encoded, 'base64')));
  });
});
