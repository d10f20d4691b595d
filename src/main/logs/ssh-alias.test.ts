import { describe, expect, it } from 'vitest';
import { expandHome, readAlias, resolveAlias } from './ssh-alias.ts';

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
      identityFiles: ['/home/me/.ssh/worker'],
      proxy: null,
    });
    expect(resolveAlias(config, 'worker-9')).toMatchObject({ hostName: 'worker-9', port: null });
  });

  it('tells of a hop that cannot be taken', () => {
    expect(resolveAlias(config, 'far').proxy).toBe('bastion');
  });

  it('says nothing when it is not there', async () => {
    expect(await readAlias('/nonexistent', 'far')).toEqual({
      hostName: 'far',
      port: null,
      identityFiles: [],
      proxy: null,
    });
  });

  it('knows the home folder only at the front of a path', () => {
    expect(expandHome('~/key', '/home/me')).toBe('/home/me/key');
    expect(expandHome('/a/~/key', '/home/me')).toBe('/a/~/key');
    expect(expandHome('~other/key', '/home/me')).toBe('~other/key');
  });
});
