// Containers and journal units over a real sshd. Neither Docker nor systemd can be expected where tests run, so the
// commands on the host are stand-ins that answer as the real ones do: options, order, output, errors.
import { appendFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tmpdir } from 'node:os';
import type { TestStep } from '../../src/contract/connection-test.ts';
import type { LogInput } from '../../src/contract/settings.ts';
import { testLogHosts } from '../../src/main/logs/connection-steps.ts';
import { LogTail } from '../../src/main/logs/log-tail.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';
import { until } from '../harness/until.ts';
import { depsFor, placesIn, range, RecordingListener, settingsFor, tailOf } from './logs-fixture.ts';

// Both keep their log in a file of lines: `STAMP text` for docker, an entry for journalctl.
const FOLLOW = `#!${process.execPath}
const { existsSync, readFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const args = process.argv.slice(2);
const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const fail = (message) => { console.error(message); process.exit(1); };
const fileOf = (name) => join(process.env.STAND_IN, name + '.log');
function follow(file, from, show) {
  let at = from(readFileSync(file, 'utf8').split('\\n').slice(0, -1));
  const step = () => {
    if (!existsSync(file)) process.exit(0);
    const lines = readFileSync(file, 'utf8').split('\\n').slice(0, -1);
    for (; at < lines.length; at += 1) if (show(lines[at])) console.log(lines[at]);
  };
  step();
  setInterval(step, 50);
}
if (basename(__filename) === 'docker') {
  const name = args.at(-1);
  if (args[0] !== 'inspect' && !(args[0] === 'logs' && args.includes('-f') && args.includes('--timestamps'))) fail('bad arguments');
  if (!existsSync(fileOf(name))) fail('Error response from daemon: No such container: ' + name);
  if (args[0] === 'inspect') console.log('running');
  else {
    const since = option('--since') ?? '';
    const tail = Number(option('--tail') ?? Infinity);
    follow(fileOf(name), (lines) => Math.max(0, lines.length - tail), (line) => line.split(' ')[0] >= since);
  }
} else {
  const file = fileOf(option('-u'));
  const cursor = args.find((arg) => arg.startsWith('--cursor='))?.slice(9);
  if (!existsSync(file)) { if (!args.includes('-f')) process.exit(0); fail('no such log'); }
  if (!args.includes('-f')) console.log(readFileSync(file, 'utf8').trim().split('\\n').at(-1));
  else {
    const tail = Number(option('-n') ?? Infinity);
    // An unknown cursor shows all that is left, as journalctl 252 does.
    const start = (lines) => Math.max(0, lines.findIndex((line) => JSON.parse(line).__CURSOR === cursor));
    follow(file, (lines) => (cursor === undefined ? Math.max(0, lines.length - tail) : start(lines)), () => true);
  }
}
`;

let folder: string;
let sshd: Sshd;
let next: number;
let name: string;
let tests = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headway-commands-'));
  const bin = join(folder, 'bin');
  await mkdir(bin);
  for (const command of ['docker', 'journalctl'])
    await writeFile(join(bin, command), FOLLOW, { mode: 0o755 });
  // Many hosts greet whoever logs in, also without a terminal; where the login shell is bash, this one does.
  await writeFile(join(folder, '.bashrc'), 'echo "Welcome to the host"; echo "Mind the gap" >&2\n');
  const environment = { PATH: `${bin}:/usr/bin:/bin`, STAND_IN: folder, HOME: folder };
  sshd = await startSshd({ environment });
});
afterAll(async () => {
  await sshd[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  tests += 1;
  name = `worker-${tests}`;
  next = 1;
  writeFileSync(logFile(), '');
});

const logFile = () => join(folder, `${name}.log`);
const startMs = Date.UTC(2026, 0, 9, 12, 0, 0);

/** Lines of a container; four share each stamp, as lines that are written at once do. */
function dockerWrites(count: number): void {
  for (let written = 0; written < count; written += 1) {
    const second = new Date(startMs + Math.floor(next / 4) * 100).toISOString().slice(0, -1);
    appendFileSync(logFile(), `${second}000000Z line ${next++} end\n`);
  }
}

function journalWrites(count: number): void {
  for (let written = 0; written < count; written += 1) {
    const entry = {
      __CURSOR: `s=1;i=${next}`,
      __REALTIME_TIMESTAMP: String((startMs + next) * 1000),
      PRIORITY: '3',
      MESSAGE: `line ${next++} end`,
    };
    appendFileSync(logFile(), `${JSON.stringify(entry)}\n`);
  }
}

describe.each([
  {
    kind: 'docker' as const,
    writes: dockerWrites,
    input: (): LogInput => ({ kind: 'docker', container: name }),
  },
  {
    kind: 'journal' as const,
    writes: journalWrites,
    input: (): LogInput => ({ kind: 'journal', unit: name }),
  },
])('$kind', ({ writes, input }) => {
  it('goes on after a cut without losing or doubling a line, and leaves no process behind', async () => {
    writes(700);
    const listener = new RecordingListener();
    {
      await using tail = await tailOf(sshd, listener, input());
      tail.start();
      await listener.untilNumber(700);
      for (let round = 0; round < 2; round += 1) {
        await sshd.stop();
        await listener.untilState('reconnecting');
        writes(50);
        await sshd.start();
        await listener.untilNumber(next - 1);
        writes(3);
        await listener.untilNumber(next - 1);
      }
    }
    expect(listener.numbers).toEqual(range(201, next - 1));
    expect(listener.texts('gap')).toEqual([]);
    expect(listener.texts('reconnect')).toHaveLength(2);
    expect(listener.all.find((line) => line.kind === 'line')?.atMs).toBeGreaterThanOrEqual(startMs);
    await until(async () => (await sshd.sessionProcesses()).length === 0);
  });

  it('goes on after a restart of Headway where it stopped', async () => {
    writes(20);
    const lives: RecordingListener[] = [];
    for (let life = 0; life < 3; life += 1) {
      const listener = new RecordingListener();
      lives.push(listener);
      const deps = { ...(await depsFor(sshd)), places: placesIn(folder) };
      await using tail = new LogTail(settingsFor(sshd, [input()]), listener, deps);
      tail.start();
      await listener.untilNumber(next - 1);
      writes(7);
      await listener.untilNumber(next - 1);
      await tail.stop();
      // While nobody reads.
      writes(9);
    }
    expect(lives.flatMap((life) => life.numbers)).toEqual(range(1, next - 10));
    expect(lives.map((life) => life.texts('gap'))).toEqual([[], [], []]);
    expect(lives.slice(1).map((life) => life.texts('reconnect'))).toEqual([
      [expect.stringMatching(/^Headway reads on .*nothing is missing/)],
      [expect.stringMatching(/^Headway reads on .*nothing is missing/)],
    ]);
  });

  it('marks a gap when the log does not go back far enough', async () => {
    writes(10);
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, input());
    tail.start();
    await listener.untilNumber(10);
    await sshd.stop();
    await listener.untilState('reconnecting');
    writes(500);
    writeFileSync(logFile(), '');
    writes(5);
    await sshd.start();
    await listener.untilNumber(515);
    expect(listener.numbers).toEqual([...range(1, 10), ...range(511, 515)]);
    expect(listener.texts('gap')).toEqual([expect.stringContaining('does not go back')]);
  });
});

describe('a container', () => {
  it('that is not there is named; one that stops is waited for', async () => {
    const listener = new RecordingListener();
    await using tail = await tailOf(sshd, listener, { kind: 'docker', container: 'nobody' });
    tail.start();
    const state = await listener.untilState('failed');
    expect(state?.error?.message).toMatch(/no container named nobody .*docker ps -a/);

    const stopping = new RecordingListener();
    await using second = await tailOf(sshd, stopping, { kind: 'docker', container: name });
    dockerWrites(3);
    second.start();
    await stopping.untilNumber(3);
    unlinkSync(logFile());
    await stopping.untilState('waiting-for-file');
  });
});

describe('a file', () => {
  it('is found in the home folder', async () => {
    const listener = new RecordingListener();
    writeFileSync(logFile(), 'line 1 end\n');
    await using tail = await tailOf(sshd, listener, { kind: 'file', path: `~/${name}.log` });
    tail.start();
    await listener.untilNumber(1);
    expect(listener.all).toHaveLength(1);
  });
});

describe('the steps of "Test"', () => {
  const stateOf = async (server: Sshd, ...inputs: LogInput[]) => {
    const steps = new Map<string, TestStep>();
    const signal = new AbortController().signal;
    await testLogHosts(
      [settingsFor(server, inputs)],
      await depsFor(server),
      (s) => steps.set(s.id, s),
      signal,
    );
    return inputs.map((_, index) => steps.get(`log.0.input.${index}`));
  };

  it('look at containers and units', async () => {
    dockerWrites(1);
    const [there, missing, unit, silent] = await stateOf(
      sshd,
      { kind: 'docker', container: name },
      { kind: 'docker', container: 'nobody' },
      { kind: 'journal', unit: name },
      { kind: 'journal', unit: 'nobody' },
    );
    expect(there).toMatchObject({ state: 'ok', detail: 'running' });
    expect(missing).toMatchObject({ state: 'failed', error: { code: 'command-failed' } });
    expect(unit).toMatchObject({ state: 'ok', error: null });
    expect(silent).toMatchObject({ state: 'warning' });
  });

  it('say when a host has no such command', async () => {
    const bare = join(folder, 'bare');
    await mkdir(bare);
    for (const command of ['sh', 'sleep', 'cat']) await symlink(`/bin/${command}`, join(bare, command));
    await using host = await startSshd({ environment: { PATH: bare } });
    const steps = await stateOf(host, { kind: 'docker', container: 'x' }, { kind: 'journal', unit: 'x' });
    expect(steps.map((step) => step?.error?.message)).toEqual([
      expect.stringContaining('docker is not installed'),
      expect.stringContaining('has no journalctl'),
    ]);
  });
});
