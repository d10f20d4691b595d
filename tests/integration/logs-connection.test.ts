// Reaching a log host: keys, passphrases, strangers, changed hosts, dead peers, and the steps of "Test".
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestStep } from '../../src/contract/connection-test.ts';
import type { LogHostSettings } from '../../src/contract/settings.ts';
import { testLogHosts } from '../../src/main/logs/connection-steps.ts';
import { HostKeys } from '../../src/main/logs/host-keys.ts';
import { LogTail } from '../../src/main/logs/log-tail.ts';
import { SshConnection, type SshDeps } from '../../src/main/logs/ssh-connection.ts';
import { requireProgram, startProcess } from '../harness/process.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';
import { until } from '../harness/until.ts';
import { depsFor, RecordingListener, settingsFor } from './logs-fixture.ts';

let sshd: Sshd;
const never = new AbortController().signal;

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
});

async function connects(settings: LogHostSettings, deps: SshDeps): Promise<string[]> {
  const found: string[] = [];
  await using _connection = await SshConnection.open(settings, deps, never, (phase) => found.push(phase));
  return found;
}

describe('logging in', () => {
  const all = ['resolve', 'connect', 'host-key', 'authenticate'];

  it('works with a key, and with a key that is locked with a passphrase', async () => {
    const deps = await depsFor(sshd);
    const settings = settingsFor(sshd, []);
    expect(await connects(settings, deps)).toEqual(all);
    const passphrase = { stored: 'passphrase' };
    const auth = { kind: 'key' as const, file: sshd.encryptedKeyFile, passphrase };
    expect(await connects({ ...settings, auth }, deps)).toEqual(all);
  });

  it('tells a missing passphrase, a wrong one, and a missing key file apart', async () => {
    const deps = await depsFor(sshd);
    const settings = settingsFor(sshd, []);
    const withKey = (file: string, passphrase?: { stored: string }) =>
      connects({ ...settings, auth: { kind: 'key', file, ...(passphrase && { passphrase }) } }, deps);
    await expect(withKey(sshd.encryptedKeyFile)).rejects.toMatchObject({ code: 'secret-missing' });
    await expect(withKey(sshd.encryptedKeyFile, { stored: 'other' })).rejects.toMatchObject({
      code: 'authentication-failed',
      message: expect.stringContaining('passphrase does not open') as string,
    });
    await expect(withKey('/nonexistent/key')).rejects.toMatchObject({ code: 'file-missing' });
    await expect(withKey(`${sshd.privateKeyFile}.pub`)).rejects.toMatchObject({
      code: 'authentication-failed',
    });
  });

  it('says what was tried and what the server accepts when a key or a user is refused', async () => {
    const deps = await depsFor(sshd);
    const settings = settingsFor(sshd, []);
    const stranger = { ...settings, auth: { kind: 'key' as const, file: sshd.strangerKeyFile } };
    const refusal = expect(connects(stranger, deps)).rejects;
    await refusal.toMatchObject({
      code: 'authentication-failed',
      details: { tried: `key ${sshd.strangerKeyFile}`, accepted: 'publickey' },
    });
    await expect(connects({ ...settings, user: 'nobody-here' }, deps)).rejects.toMatchObject({
      code: 'authentication-failed',
      message: expect.stringContaining('nobody-here@') as string,
    });
  });

  it('names the host that cannot be found or does not listen', async () => {
    const deps = await depsFor(sshd);
    const settings = settingsFor(sshd, []);
    await expect(connects({ ...settings, host: 'no-such-host.invalid' }, deps)).rejects.toMatchObject({
      code: 'host-unknown',
    });
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await expect(connects({ ...settings, port }, deps)).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('gives up on a server that accepts and says nothing, and when it is cancelled', async () => {
    const mute = createServer().listen(0, '127.0.0.1');
    await once(mute, 'listening');
    const { port } = mute.address() as AddressInfo;
    const settings = { ...settingsFor(sshd, []), port };
    const deps = await depsFor(sshd);
    const refusal = connects(settings, { ...deps, readyTimeoutMs: 200 });
    await expect(refusal).rejects.toMatchObject({ code: 'timeout', retryable: true });
    const cancel = AbortSignal.timeout(100);
    await expect(SshConnection.open(settings, deps, cancel)).rejects.toMatchObject({ code: 'cancelled' });
    mute.close();
  });

  it('works with a password, and by keyboard-interactive where the server knows nothing else', async () => {
    for (const method of ['password', 'keyboard-interactive']) {
      // The throwaway sshd has no password of anyone; ssh2's own server can be told one.
      const server = new ssh2.Server(
        { hostKeys: [await readFile(join(sshd.folder, 'host_key'))] },
        (client) => {
          client.on('authentication', (context) => {
            if (context.method === 'password' && method === 'password' && context.password === 'wrong') {
              context.accept();
            } else if (context.method === 'keyboard-interactive' && method === context.method) {
              context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
                answers[0] === 'wrong' ? context.accept() : context.reject(),
              );
            } else context.reject(method === 'password' ? ['password'] : ['keyboard-interactive']);
          });
          client.on('error', () => undefined);
        },
      );
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const deps = await depsFor(sshd, sshd.knownHostsLine.replace(String(sshd.port), String(port)));
      const auth = { kind: 'password' as const, password: { stored: 'any' } };
      expect(await connects({ ...settingsFor(sshd, []), port, auth }, deps)).toEqual(all);
      server.close();
    }
  });

  it('works with an agent, and says when there is none', async () => {
    const agentSocket = join(sshd.folder, 'agent');
    await using _agent = await startProcess({
      command: requireProgram('ssh-agent', 'install openssh-client'),
      args: ['-D', '-a', agentSocket],
      ready: () => existsSync(agentSocket),
    });
    const settings = { ...settingsFor(sshd, []), auth: { kind: 'agent' as const } };
    const deps = { ...(await depsFor(sshd)), agentSocket };
    await expect(connects(settings, deps)).rejects.toMatchObject({ code: 'authentication-failed' });
    const env = { ...process.env, SSH_AUTH_SOCK: agentSocket };
    await promisify(execFile)('ssh-add', ['-q', sshd.privateKeyFile], { env });
    expect(await connects(settings, deps)).toEqual(all);
    await expect(connects(settings, { ...deps, agentSocket: '/nonexistent/agent' })).rejects.toMatchObject({
      code: 'authentication-failed',
      message: expect.stringContaining('tried agent (') as string,
    });
    await expect(connects(settings, { ...deps, agentSocket: undefined })).rejects.toThrow(
      'No SSH agent is running',
    );
  });

  it('follows the SSH config to the real name and port, and finds the key it names', async () => {
    const config = join(sshd.folder, 'ssh_config');
    await writeFile(
      config,
      `Host worker-1\n  HostName ${sshd.host}\n  Port ${sshd.port}\n  IdentityFile ${sshd.privateKeyFile}\n`,
    );
    const deps = { ...(await depsFor(sshd)), sshConfigFile: config };
    const settings = {
      ...settingsFor(sshd, []),
      host: 'worker-1',
      port: 22,
      auth: { kind: 'agent' as const },
    };
    expect(await connects(settings, deps)).toEqual(all);
  });
});

describe("a host's key", () => {
  it('is asked for once when unknown; the tail goes on by itself when it is accepted', async () => {
    const file = join(sshd.folder, 'trust.log');
    await writeFile(file, 'line 1 end\n');
    const deps = await depsFor(sshd, '');
    const listener = new RecordingListener();
    await using tail = new LogTail(settingsFor(sshd, [{ kind: 'file', path: file }]), listener, deps);
    tail.start();
    const state = await listener.untilState('failed');
    expect(state?.error).toMatchObject({
      code: 'host-key-unknown',
      details: { host: sshd.host, port: String(sshd.port), fingerprint: sshd.hostKeyFingerprint },
    });
    await deps.hostKeys.accept(sshd.host, sshd.port, sshd.hostKeyFingerprint);
    await listener.untilNumber(1);
  });

  it('is refused when it changed, and no login is tried', async () => {
    const other = await startSshd();
    try {
      const line = other.knownHostsLine;
      await other.stop();
      await other.changeHostKey();
      await other.start();
      const listener = new RecordingListener();
      const deps = await depsFor(other, line);
      let secretsAsked = 0;
      const counting = { ...deps, secret: () => Promise.resolve(String((secretsAsked += 1))) };
      const auth = { kind: 'password' as const, password: { stored: 'any' } };
      const settings = { ...settingsFor(other, [{ kind: 'file', path: '/dev/null' }]), auth };
      await using tail = new LogTail(settings, listener, counting);
      tail.start();
      const state = await listener.untilState('failed');
      expect(state?.error?.code).toBe('host-key-changed');
      expect(state?.error?.message).toContain(other.hostKeyFingerprint);
      expect(secretsAsked).toBe(0);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  it('is taken of the type that is on file, also when the server would rather show another', async () => {
    const server = new ssh2.Server(
      {
        hostKeys: [
          await readFile(join(sshd.folder, 'host_key')),
          ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }).private,
        ],
      },
      (client) => {
        client.on('authentication', (context) => context.accept());
        client.on('error', () => undefined);
      },
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const settings = { ...settingsFor(sshd, []), port };
    const folder = join(sshd.folder, 'types');
    const hostKeys = new HostKeys({ readOnlyFiles: [], ownFile: join(folder, 'known_hosts') });
    const deps = { ...(await depsFor(sshd)), hostKeys };
    await expect(connects(settings, deps)).rejects.toMatchObject({ details: { keyType: 'ssh-ed25519' } });
    const ed25519 = ssh2.utils.generateKeyPairSync('ed25519').public.split(' ').slice(0, 2).join(' ');
    const known = join(sshd.folder, 'known_ecdsa');
    await writeFile(known, `[elsewhere]:1 ${ed25519}\n`);
    await appendFile(known, `[127.0.0.1]:${port} ecdsa-sha2-nistp256 AAAA\n`);
    const prefers = { ...deps, hostKeys: new HostKeys({ readOnlyFiles: [known], ownFile: `${known}_own` }) };
    await expect(connects(settings, prefers)).rejects.toMatchObject({
      code: 'host-key-changed',
      details: { keyType: 'ecdsa-sha2-nistp256', place: `${known}:2` },
    });
    server.close();
  });
});

describe('a peer that is gone without a word', () => {
  it('is noticed by keepalive, and the log goes on over the next connection', async () => {
    const file = join(sshd.folder, 'half-open.log');
    await writeFile(file, 'line 1 end\n');
    const sockets: Socket[] = [];
    const wire = createServer((near) => {
      const far = connect(sshd.port, sshd.host);
      sockets.push(near, far);
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const { port } = wire.address() as AddressInfo;
    const deps = await depsFor(sshd, sshd.knownHostsLine.replace(String(sshd.port), String(port)));
    const settings = { ...settingsFor(sshd, [{ kind: 'file' as const, path: file }]), port };
    const listener = new RecordingListener();
    {
      await using tail = new LogTail(settings, listener, { ...deps, keepaliveIntervalMs: 100 });
      tail.start();
      await listener.untilNumber(1);
      // The wire is cut: nothing arrives any more, and nobody says so.
      for (const socket of sockets) socket.unpipe().pause();
      await appendFile(file, 'line 2 end\n');
      const state = await listener.untilState('reconnecting');
      expect(state?.error?.code).toBe('timeout');
      await listener.untilNumber(2);
    }
    expect(listener.numbers).toEqual([1, 2]);
    for (const socket of sockets) socket.destroy();
    wire.close();
  });
});

describe('the steps of "Test"', () => {
  async function test(hosts: LogHostSettings[], deps: SshDeps): Promise<Map<string, TestStep>> {
    const steps = new Map<string, TestStep>();
    await testLogHosts(hosts, deps, (step) => steps.set(step.id, step), never);
    return steps;
  }
  const states = (steps: Map<string, TestStep>) =>
    Object.fromEntries([...steps.values()].map((step) => [step.id, step.state]));

  it('tell each result with its time; a file that is not there yet is a warning', async () => {
    const file = join(sshd.folder, 'there.log');
    await writeFile(file, 'x'.repeat(1234));
    const settings = settingsFor(sshd, [
      { kind: 'file', path: file },
      { kind: 'file', path: `${file}.not-yet` },
      { kind: 'file', path: sshd.folder },
    ]);
    const steps = await test([settings], await depsFor(sshd));
    expect(states(steps)).toEqual({
      'log.0.resolve': 'ok',
      'log.0.connect': 'ok',
      'log.0.host-key': 'ok',
      'log.0.authenticate': 'ok',
      'log.0.input.0': 'ok',
      'log.0.input.1': 'warning',
      'log.0.input.2': 'failed',
    });
    expect(steps.get('log.0.input.0')?.detail).toBe('1,234 bytes');
    expect(steps.get('log.0.host-key')?.detail).toBe(sshd.hostKeyFingerprint);
    for (const step of steps.values()) expect(step.durationMs).toBeGreaterThan(0);
    await until(async () => (await sshd.sessionProcesses()).length === 0);
  });

  it('stop at the unknown key and carry its fingerprint; the other host goes on', async () => {
    const input = { kind: 'file' as const, path: '/etc/hostname' };
    const good = settingsFor(sshd, [input]);
    const steps = await test([{ ...good, host: 'localhost' }, good], await depsFor(sshd));
    expect(states(steps)).toMatchObject({
      'log.0.connect': 'ok',
      'log.0.host-key': 'failed',
      'log.0.authenticate': 'skipped',
      'log.0.input.0': 'skipped',
      'log.1.authenticate': 'ok',
    });
    const error = steps.get('log.0.host-key')?.error;
    expect(error?.details?.['fingerprint']).toBe(sshd.hostKeyFingerprint);
  });

  it('fail at the login when the key is refused', async () => {
    const settings = settingsFor(sshd, [{ kind: 'file', path: '/etc/hostname' }]);
    const auth = { kind: 'key' as const, file: sshd.strangerKeyFile };
    const steps = await test([{ ...settings, auth }], await depsFor(sshd));
    expect(states(steps)).toMatchObject({ 'log.0.host-key': 'ok', 'log.0.authenticate': 'failed' });
  });
});
