// A log host behind others: chains of hops from the SSH config, each with its own key check and login.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestStep } from '../../src/contract/connection-test.ts';
import { testLogHosts } from '../../src/main/logs/connection-steps.ts';
import { LogTail } from '../../src/main/logs/log-tail.ts';
import { SshConnection, type SshDeps } from '../../src/main/logs/ssh-connection.ts';
import { runToEnd } from '../../src/main/logs/remote-run.ts';
import { probeInput } from '../../src/main/logs/probe-command.ts';
import { requireProgram, startProcess } from '../harness/process.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';
import { until } from '../harness/until.ts';
import { depsFor, range, RecordingListener, settingsFor } from './logs-fixture.ts';

let gate: Sshd;
let inner: Sshd;
let closed: Sshd;
let worker: Sshd;
const never = new AbortController().signal;

beforeAll(async () => {
  [gate, inner, closed, worker] = await Promise.all([
    startSshd(),
    startSshd(),
    startSshd({ config: ['AllowTcpForwarding no'] }),
    startSshd(),
  ]);
});
afterAll(async () => {
  await Promise.all([gate, inner, closed, worker].map((server) => server[Symbol.asyncDispose]()));
});

const station = (name: string, server: Sshd, more: string[] = []) =>
  [
    `Host ${name}`,
    `  HostName ${server.host}`,
    `  Port ${server.port}`,
    `  User ${server.user}`,
    `  IdentityFile ${server.privateKeyFile}`,
    ...more.map((line) => `  ${line}`),
  ].join('\n');

/** The worker as `worker`, behind `jump`; its user and port are the config's alone. */
async function behind(
  jump: string,
  options: { known?: Sshd[]; more?: string[] } = {},
): Promise<{
  deps: SshDeps & Awaited<ReturnType<typeof depsFor>>;
  settings: ReturnType<typeof settingsFor>;
}> {
  const config = join(worker.folder, `config_${Math.random().toString(36).slice(2)}`);
  const stations = [
    station('worker', worker, [`ProxyJump ${jump}`]),
    station('gate', gate),
    station('inner', inner, ['ProxyJump gate']),
    station('closed', closed),
    ...(options.more ?? []),
  ];
  await writeFile(config, `${stations.join('\n')}\n`);
  const known = options.known ?? [gate, inner, closed, worker];
  const deps = await depsFor(worker, known.map((server) => server.knownHostsLine).join('\n'));
  return {
    deps: { ...deps, sshConfigFile: config },
    settings: { ...settingsFor(worker, []), host: 'worker', port: 22, user: '', auth: { kind: 'agent' } },
  };
}

async function answers(connection: SshConnection): Promise<number | null> {
  return (await runToEnd(connection, probeInput({ kind: 'file', path: '/etc/passwd' }), never)).code;
}

describe('a host behind hops', () => {
  it('is reached through one, through two, and through the hop of a hop', async () => {
    for (const jump of ['gate', 'gate,inner', 'inner']) {
      const { deps, settings } = await behind(jump);
      await using connection = await SshConnection.open(settings, deps, never);
      expect(await answers(connection)).toBe(0);
    }
    await until(async () => (await worker.sessionProcesses()).length === 0);
  });

  it('is reached through a hop that the config spells out, with the key of the settings', async () => {
    const { deps, settings } = await behind(`${gate.user}@${gate.host}:${gate.port}`);
    const file = gate.privateKeyFile;
    const auth = { kind: 'key' as const, file };
    // The gate takes its own key; the worker does not know it, and says so itself.
    await expect(SshConnection.open({ ...settings, auth }, deps, never)).rejects.toMatchObject({
      code: 'authentication-failed',
      message: expect.stringMatching(
        new RegExp(`^${worker.user}@127.0.0.1:${worker.port} refused`),
      ) as string,
    });
  });

  it('is lost with its hop, read on when the hop is back, and loses no line', async () => {
    const file = join(worker.folder, 'behind.log');
    await writeFile(file, 'line 1 end\n');
    const { deps, settings } = await behind('gate,inner');
    const listener = new RecordingListener();
    {
      await using tail = new LogTail({ ...settings, inputs: [{ kind: 'file', path: file }] }, listener, deps);
      tail.start();
      await listener.untilNumber(1);
      await gate.stop();
      await listener.untilState('reconnecting');
      await appendFile(file, 'line 2 end\n');
      await until(() => (listener.lastState?.error?.message ?? '').includes('a hop on the way to'));
      expect(listener.lastState?.error?.message).toBe(
        `Nothing listens at ${gate.user}@127.0.0.1:${gate.port} (a hop on the way to ` +
          `${worker.user}@127.0.0.1:${worker.port}). Check the port, and that sshd runs there.`,
      );
      await gate.start();
      await listener.untilNumber(2);
    }
    expect(listener.numbers).toEqual(range(1, 2));
    for (const server of [gate, inner, worker]) {
      await until(async () => (await server.sessionProcesses()).length === 0);
    }
  });
});

describe('what fails on the way names its place', () => {
  it('a hop whose key is not known, with its own fingerprint; nobody is asked to log in', async () => {
    const { deps, settings } = await behind('gate,inner', { known: [gate, worker] });
    await expect(SshConnection.open(settings, deps, never)).rejects.toMatchObject({
      code: 'host-key-unknown',
      details: { port: String(inner.port), fingerprint: inner.hostKeyFingerprint },
    });
    await deps.hostKeys.accept(inner.host, inner.port, inner.hostKeyFingerprint);
    await using connection = await SshConnection.open(settings, deps, never);
    expect(await answers(connection)).toBe(0);
  });

  it('a hop that refuses the login, one that forbids forwarding, and one that does not reach the host', async () => {
    const refused = await behind('stranger', {
      more: [station('stranger', gate).replace(gate.privateKeyFile, gate.strangerKeyFile)],
    });
    await expect(SshConnection.open(refused.settings, refused.deps, never)).rejects.toMatchObject({
      code: 'authentication-failed',
      message: expect.stringContaining(`${gate.port} (a hop on the way to`) as string,
    });
    const forbidden = await behind('closed');
    await expect(SshConnection.open(forbidden.settings, forbidden.deps, never)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(`:${closed.port} does not forward to`) as string,
    });
    const { deps, settings } = await behind('gate');
    await expect(SshConnection.open({ ...settings, port: 1 }, deps, never)).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(`:${gate.port} does not reach ${worker.user}@127.0.0.1:1`) as string,
    });
    for (const server of [gate, closed]) {
      await until(async () => (await server.sessionProcesses()).length === 0);
    }
  });

  it('in the steps of "Test" as well', async () => {
    const { deps, settings } = await behind('gate');
    const steps = new Map<string, TestStep>();
    const hosts = [
      { ...settings, inputs: [{ kind: 'file' as const, path: '/etc/passwd' }] },
      { ...settings, port: 1, inputs: [{ kind: 'file' as const, path: '/etc/passwd' }] },
    ];
    await testLogHosts(hosts, deps, (step) => steps.set(step.id, step), never);
    expect(steps.get('log.0.connect')).toMatchObject({
      state: 'ok',
      detail: `through the hop ${gate.user}@127.0.0.1:${gate.port}`,
    });
    expect(steps.get('log.0.input.0')?.state).toBe('ok');
    expect(steps.get('log.1.connect')).toMatchObject({ state: 'failed', error: { code: 'unreachable' } });
  });
});

describe('IdentitiesOnly', () => {
  it('keeps the other keys of the agent from the server', async () => {
    const agentSocket = join(worker.folder, 'agent');
    await using _agent = await startProcess({
      command: requireProgram('ssh-agent', 'install openssh-client'),
      args: ['-D', '-a', agentSocket],
      ready: () => existsSync(agentSocket),
    });
    const env = { ...process.env, SSH_AUTH_SOCK: agentSocket };
    // Two tries are all that the server allows: four strangers before the right key would use them up.
    await using strict = await startSshd({ config: ['MaxAuthTries 2'] });
    for (const server of [gate, inner, closed, worker, strict]) {
      await promisify(execFile)('ssh-add', ['-q', server.privateKeyFile], { env });
    }
    const open = async (more: string[]) => {
      const config = join(worker.folder, 'config_strict');
      // The private half is with the agent alone.
      const key = join(worker.folder, 'only_public');
      await promisify(execFile)('cp', [`${strict.privateKeyFile}.pub`, `${key}.pub`]);
      await writeFile(config, station('strict', strict, more).replace(strict.privateKeyFile, key));
      const deps = { ...(await depsFor(strict)), sshConfigFile: config, agentSocket };
      const settings = {
        ...settingsFor(strict, []),
        host: 'strict',
        port: 22,
        auth: { kind: 'agent' as const },
      };
      await using _connection = await SshConnection.open(settings, deps, never);
    };
    await expect(open([])).rejects.toMatchObject({ code: expect.any(String) as string });
    await open(['IdentitiesOnly yes']);
  });
});
