import { userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import { parseHop, sshRoute, stationName } from './ssh-route.ts';

const names = (config: string, host: string, port = 22, user = 'me') => {
  const { hops, target } = sshRoute({ host, port, user }, config, '/home/me');
  return [...hops, target].map(stationName);
};

describe('the way to a host', () => {
  it('is direct without a config', () => {
    expect(names('', 'worker', 2222)).toEqual(['me@worker:2222']);
  });

  it('takes user and port of the config only where the settings leave the default', () => {
    const config = 'Host worker\n  HostName 10.0.0.5\n  User deploy\n  Port 2200\n';
    expect(names(config, 'worker', 22, '')).toEqual(['deploy@10.0.0.5:2200']);
    expect(names(config, 'worker', 2222, 'me')).toEqual(['me@10.0.0.5:2222']);
    expect(names('', 'worker', 22, '')).toEqual([`${userInfo().username}@worker:22`]);
  });

  it('goes through a chain whose hops are aliases, and whose first hop has a hop of its own', () => {
    const config = `
Host worker
  ProxyJump outer,root@inner:2201
Host outer
  HostName outer.example.com
  User jump
  IdentityFile ~/.ssh/outer
  ProxyJump gate
Host inner
  HostName inner.example.com
  Port 9
  ProxyJump never-taken
Host gate
  User guard
  Port 443
`;
    expect(names(config, 'worker')).toEqual([
      'guard@gate:443',
      'jump@outer.example.com:22',
      'root@inner.example.com:2201',
      'me@worker:22',
    ]);
    const { hops } = sshRoute({ host: 'worker', port: 22, user: 'me' }, config, '/home/me');
    expect(hops.map(({ identityFiles }) => identityFiles)).toEqual([[], ['/home/me/.ssh/outer'], []]);
  });

  it('stops at a hop that needs none, and refuses a circle', () => {
    const config = 'Host gate\n  ProxyJump none\nHost *\n  User x\n  ProxyJump gate\n';
    expect(names(config, 'worker')).toEqual(['x@gate:22', 'me@worker:22']);
    const circle = 'Host *\n  User x\n  ProxyJump gate\n';
    expect(() => names(circle, 'worker')).toThrow(
      'through x@gate:22 in a circle. Give that hop "ProxyJump none"',
    );
  });

  it('refuses a program in place of a connection, also at a hop', () => {
    expect(() => names('Host worker\n  ProxyCommand nc %h %p\n', 'worker')).toThrow(
      'me@worker:22 through the program "nc %h %p" (ProxyCommand), which Headway does not run',
    );
    const atHop = 'Host worker\n  ProxyJump gate\nHost gate\n  ProxyCommand cloud ssh\n';
    expect(() => names(atHop, 'worker')).toThrow('through the program "cloud ssh"');
  });

  it.each([
    ['bastion', { host: 'bastion', port: null, user: null }],
    ['me@bastion:2222', { host: 'bastion', port: 2222, user: 'me' }],
    ['me@corp@bastion', { host: 'bastion', port: null, user: 'me@corp' }],
    ['[2001:db8::1]:22', { host: '2001:db8::1', port: 22, user: null }],
    ['ssh://me@bastion:2222/', { host: 'bastion', port: 2222, user: 'me' }],
    ['bastion:70000', null],
    ['bastion:', null],
    ['', null],
  ])('reads the hop %j', (written, hop) => {
    expect(parseHop(written)).toEqual(hop);
  });
});
