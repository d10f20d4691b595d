import { describe, expect, it } from 'vitest';
import { expandHome, readSshConfig, resolveAlias } from './ssh-alias.ts';

const config = `
Host worker-* !worker-9
  HostName %h.example.com
  Port 2222
  IdentityFile ~/.ssh/worker
Host far
  ProxyJump bastion
Match exec "touch /tmp/must-not-run"
  Port 1
Host *
  ProxyJump none
`;

describe('the SSH config', () => {
  it('gives an alias its name, port and key', () => {
    expect(resolveAlias(config, 'worker-1', '/home/me')).toEqual({
      hostName: 'worker-1.example.com',
      port: 2222,
      user: null,
      identityFiles: ['/home/me/.ssh/worker'],
      identitiesOnly: false,
      jumps: [],
      proxyCommand: null,
    });
    expect(resolveAlias(config, 'worker-9')).toMatchObject({ hostName: 'worker-9', port: null });
  });

  it('gives user, keys alone, and the way through hops or a program, whichever stands first', () => {
    const text = `
Host a
  User deploy
  IdentitiesOnly yes
  ProxyJump one, root@two:2200
  ProxyCommand nc %h %p
Host b
  ProxyCommand nc -X 5 %h %p
  ProxyJump one
Host c
  ProxyCommand none
Host d
  ProxyJump none
`;
    const a = { user: 'deploy', identitiesOnly: true, jumps: ['one', 'root@two:2200'], proxyCommand: null };
    expect(resolveAlias(text, 'a')).toMatchObject(a);
    expect(resolveAlias(text, 'b')).toMatchObject({ jumps: [], proxyCommand: 'nc -X 5 %h %p' });
    for (const host of ['c', 'd']) {
      expect(resolveAlias(text, host)).toMatchObject({ jumps: [], proxyCommand: null });
    }
  });

  it('says nothing when it is not there', async () => {
    expect(await readSshConfig('/nonexistent')).toBe('');
    expect(resolveAlias('', 'far')).toMatchObject({ hostName: 'far', port: null, user: null, jumps: [] });
  });

  it('knows the home folder only at the front of a path', () => {
    expect(expandHome('~/key', '/home/me')).toBe('/home/me/key');
    expect(expandHome('/a/~/key', '/home/me')).toBe('/a/~/key');
    expect(expandHome('~other/key', '/home/me')).toBe('~other/key');
  });
});
