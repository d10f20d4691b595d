// Many logs of one host: a server gives a connection only so many channels, and more connections carry the rest.
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogTail } from '../../src/main/logs/log-tail.ts';
import { startSshd } from '../harness/sshd.ts';
import { until } from '../harness/until.ts';
import { depsFor, range, RecordingListener, settingsFor } from './logs-fixture.ts';

describe.each([
  { allowed: 10, logs: 11 },
  { allowed: 2, logs: 5 },
])('$logs logs of a server that allows $allowed channels', ({ allowed, logs }) => {
  it('are all read, and read on without loss when all connections died without a word', async () => {
    await using sshd = await startSshd({ config: [`MaxSessions ${allowed}`] });
    const folder = join(sshd.folder, 'many');
    await mkdir(folder);
    const files = range(1, logs).map((number) => join(folder, `${number}.log`));
    const write = (from: number) =>
      Promise.all(files.map((file, index) => appendFile(file, `line ${from + index} end\n`)));
    await Promise.all(files.map((file) => writeFile(file, '')));
    await write(1);
    const sockets: Socket[] = [];
    const wire = createServer((near) => {
      const far = connect(sshd.port, sshd.host);
      sockets.push(near, far);
      near.pipe(far).pipe(near);
      for (const socket of [near, far]) socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const { port } = wire.address() as AddressInfo;
    const known = sshd.knownHostsLine.replace(String(sshd.port), String(port));
    const deps = { ...(await depsFor(sshd, known)), keepaliveIntervalMs: 300 };
    const listener = new RecordingListener();
    {
      const inputs = files.map((path) => ({ kind: 'file' as const, path }));
      await using tail = new LogTail({ ...settingsFor(sshd, inputs), port }, listener, deps);
      tail.start();
      await until(() => listener.numbers.length === logs);
      expect(listener.states.filter(({ state }) => state === 'failed')).toEqual([]);
      // Both ends stay open, and nothing arrives any more.
      const dead = sockets.splice(0);
      expect(dead.length).toBeGreaterThan(2);
      for (const socket of dead) socket.unpipe().pause();
      await write(logs + 1);
      await until(() => listener.states.some(({ state }) => state === 'reconnecting'));
      await until(() => listener.numbers.length === 2 * logs);
      for (const socket of dead) socket.destroy();
    }
    expect(listener.numbers.toSorted((a, b) => a - b)).toEqual(range(1, 2 * logs));
    expect(listener.texts('gap')).toEqual([]);
    for (const socket of sockets) socket.destroy();
    wire.close();
    await until(async () => (await sshd.sessionProcesses()).length === 0);
  });
});
