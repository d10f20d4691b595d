// The logs of this computer without SSH: files and patterns, commands, containers and pods. docker and kubectl are
// stand-ins that answer as the real ones do: options, order, output, errors.
import { appendFileSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestStep } from '../../src/contract/connection-test.ts';
import { logHostSchema, type LogInput } from '../../src/contract/settings.ts';
import { testLogHosts } from '../../src/main/logs/connection-steps.ts';
import { HostKeys } from '../../src/main/logs/host-keys.ts';
import { LogTail, type LogTailDeps } from '../../src/main/logs/log-tail.ts';
import { tempDir, type TempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { placesIn, range, RecordingListener } from './logs-fixture.ts';

// Containers and pods keep their log in `NAME.log`, one `CONTAINER STAMP text` a line; `members` lists what there is.
const STAND_IN = `#!${process.execPath}
const { existsSync, readFileSync } = require('node:fs');
const { basename, join } = require('node:path');
const args = process.argv.slice(2);
const folder = process.env.STAND_IN;
const fail = (message) => { console.error(message); process.exit(1); };
const valueOf = (name) => args.find((arg) => arg.startsWith(name + '='))?.slice(name.length + 1);
const after = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const members = () => readFileSync(join(folder, 'members'), 'utf8').split('\\n').filter(Boolean).map((line) => line.split(' '));
function follow(name, show, tail) {
  const file = join(folder, name + '.log');
  const read = () => readFileSync(file, 'utf8').split('\\n').slice(0, -1);
  let at = Math.max(0, read().length - tail);
  const step = () => {
    if (!existsSync(file)) process.exit(0);
    for (const lines = read(); at < lines.length; at += 1) {
      const [container, stamp, ...text] = lines[at].split(' ');
      const line = show(container, stamp, text.join(' '));
      if (line !== null) console.log(line);
    }
  };
  step();
  setInterval(step, 50);
}
if (basename(__filename) === 'docker') {
  if (args[0] === 'ps') {
    for (const [label, id, name] of members()) if (after('--filter') === 'label=' + label) console.log(id + ' ' + name);
  } else {
    const id = args.at(-1);
    if (!existsSync(join(folder, id + '.log'))) fail('Error response from daemon: No such container: ' + id);
    if (args[0] === 'inspect') console.log('running');
    else follow(id, (_, stamp, text) => (stamp >= (after('--since') ?? '') ? stamp + ' ' + text : null), Number(after('--tail') ?? Infinity));
  }
} else {
  if (valueOf('--namespace') !== 'jobs') fail('Error from server (Forbidden): pods is forbidden');
  const pod = args.at(-1).replace('pod/', '');
  if (args[0] === 'get' && args[1] === 'pods') {
    for (const [selector, name] of members()) if (valueOf('--selector') === selector) console.log('pod/' + name);
  } else {
    if (!existsSync(join(folder, pod + '.log'))) fail('Error from server (NotFound): pods "' + pod + '" not found');
    if (args[0] === 'get') console.log('pod/' + pod);
    else {
      // The API takes whole seconds only.
      const since = Math.floor(Date.parse(valueOf('--since-time') ?? '1970-01-01') / 1000) * 1000;
      const only = valueOf('--container');
      const show = (container, stamp, text) =>
        Date.parse(stamp) < since || (only ?? container) !== container ? null
          : (args.includes('--prefix=true') ? '[pod/' + pod + '/' + container + '] ' : '') + stamp + ' ' + text;
      follow(pod, show, Number(valueOf('--tail') ?? Infinity));
    }
  }
}
`;

let temp: TempDir;
let folder: string;
let next: number;
let tests = 0;
const path = process.env['PATH'] ?? '';

beforeAll(async () => {
  temp = await tempDir('local');
  const bin = join(temp.path, 'bin');
  await mkdir(bin);
  for (const name of ['docker', 'kubectl']) await writeFile(join(bin, name), STAND_IN, { mode: 0o755 });
  process.env['PATH'] = `${bin}:${path}`;
});
afterAll(async () => {
  process.env['PATH'] = path;
  delete process.env['STAND_IN'];
  await temp[Symbol.asyncDispose]();
});
beforeEach(async () => {
  tests += 1;
  folder = join(temp.path, `it's ${tests}`);
  next = 1;
  await mkdir(folder);
  // Whatever a tail starts is known by this.
  process.env['STAND_IN'] = folder;
});

function write(file: string, count: number, head: () => string = () => ''): void {
  let text = '';
  for (let written = 0; written < count; written += 1) text += `${head()}line ${next++} end\n`;
  appendFileSync(join(folder, file), text);
}

function settings(...inputs: LogInput[]) {
  return logHostSchema.parse({ host: 'localhost', auth: { kind: 'local' }, inputs });
}

function deps(): LogTailDeps {
  return {
    hostKeys: new HostKeys({ readOnlyFiles: [], ownFile: '/nonexistent' }),
    secret: () => Promise.reject(new Error('no secret is needed')),
    sshConfigFile: '/nonexistent',
    agentSocket: undefined,
    now: Date.now,
    random: () => 0,
    lookMs: 200,
    places: placesIn(folder),
  };
}

/** One life of Headway. */
function life(...inputs: LogInput[]): { tail: LogTail; listener: RecordingListener } {
  const listener = new RecordingListener();
  const tail = new LogTail(settings(...inputs), listener, deps());
  tail.start();
  return { tail, listener };
}

/** Processes that a tail started here and that live. */
function processes(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`STAND_IN=${folder}\0`);
    } catch {
      return false;
    }
  });
}

describe('this computer', () => {
  it('is read without SSH, exactly over restarts, and nothing is left behind', async () => {
    const input = { kind: 'file' as const, path: join(folder, 'app.log') };
    write('app.log', 10);
    const lives: RecordingListener[] = [];
    for (let round = 0; round < 2; round += 1) {
      const { tail, listener } = life(input);
      lives.push(listener);
      await listener.untilNumber(next - 1);
      expect(listener.lastState).toMatchObject({ label: `localhost ${input.path}`, state: 'live' });
      write('app.log', 500);
      await listener.untilNumber(next - 1);
      await tail.stop();
      expect(processes()).toEqual([]);
      write('app.log', 5);
    }
    expect(lives.flatMap(({ numbers }) => numbers)).toEqual(range(1, next - 6));
    expect(lives[1]?.texts('reconnect')).toEqual([expect.stringContaining('nothing is missing')]);
  });

  it('is named by the settings alone: no other host can be read so', () => {
    const elsewhere = { host: 'worker', auth: { kind: 'local' }, inputs: [{ kind: 'file', path: '/x' }] };
    expect(logHostSchema.safeParse(elsewhere).error?.issues[0]?.path).toEqual(['host']);
  });
});

describe('a command', () => {
  it('gets its arguments as they are, and is started again with a gap line when it ends', async () => {
    const script = 'echo "line 1 end"; printf "%s|" "$@"; echo; echo gone >&2; exit 3';
    const { tail, listener } = life({
      kind: 'command',
      command: ['sh', '-c', script, 'x', "a b'c", '$HOME', '*'],
    });
    await until(() => listener.numbers.length >= 2);
    await tail.stop();
    expect(listener.texts('line')[1]).toBe("a b'c|$HOME|*|");
    expect(listener.texts('gap')[0]).toBe(
      'The command sh was started again: what it wrote meanwhile is missing, or comes twice.',
    );
    const failed = listener.states.find(({ state }) => state === 'failed');
    expect(failed?.error?.message).toBe(
      'The command sh on localhost ended with code 3: gone. It is started again after 1 s.',
    );
  });

  it('that is not there is named', async () => {
    const { tail, listener } = life({ kind: 'command', command: ['no-such-program'] });
    const state = await listener.untilState('failed');
    await tail.stop();
    expect(state?.error?.message).toContain('The command no-such-program is not there on localhost');
  });

  it('ends with its whole process group, also when it does not want to', async () => {
    const stubborn = 'trap "" TERM HUP INT; echo "line 1 end"; while :; do sleep 0.2; done';
    const { tail, listener } = life({ kind: 'command', command: ['sh', '-c', stubborn] });
    await listener.untilNumber(1);
    await tail.stop();
    await until(() => processes().length === 0);
    // After a restart it is not the same run any more.
    const again = life({ kind: 'command', command: ['sh', '-c', stubborn] });
    await again.listener.untilNumber(1);
    await again.tail.stop();
    expect(again.listener.texts('gap')).toHaveLength(1);
  });
});

describe('files by a pattern', () => {
  it('are each read by themselves, new ones from their first line, and rotated parts once', async () => {
    write('a one.log', 3);
    write('b.log', 3);
    writeFileSync(join(folder, 'old.log.gz'), 'line 0 end\n');
    const pattern = `${folder}/*.log*`;
    const { tail, listener } = life({ kind: 'files', pattern });
    await until(() => listener.numbers.length === 6);
    renameSync(join(folder, 'b.log'), join(folder, 'b.log.1'));
    write('b.log', 3);
    write('new.log', 10_000);
    await listener.untilNumber(next - 1);
    await until(() => listener.numbers.length === next - 1);
    await tail.stop();
    expect(listener.numbers.toSorted((a, b) => a - b)).toEqual(range(1, next - 1));
    expect(listener.texts('note')).toEqual([`Found ${folder}/new.log; it is read too.`]);
    expect(new Set(listener.batches.map(({ source }) => source))).toEqual(
      new Set(['a one.log', 'b.log', 'new.log', '*.log*'].map((name) => `localhost ${folder}/${name}`)),
    );
    // While nobody looks: one goes on, one is new.
    write('b.log', 2);
    write('later.log', 10_000);
    const second = life({ kind: 'files', pattern });
    await until(() => second.listener.numbers.length === 10_002);
    await second.tail.stop();
    expect(second.listener.texts('gap')).toEqual([]);
    expect(processes()).toEqual([]);
  });

  it('beyond what is read at most are told, and none at all is waited for', async () => {
    const input = { kind: 'files' as const, pattern: `${folder}/*.log` };
    const { tail, listener } = life(input);
    await listener.untilState('waiting-for-file');
    for (let file = 0; file < 23; file += 1) write(`${file}.log`, 1);
    await until(() => listener.texts('note').some((note) => note.includes('Not read')));
    await until(() => listener.numbers.length >= 20);
    await tail.stop();
    expect(listener.texts('note').at(-1)).toMatch(
      /^23 are found, and at most 20 are read\. Not read: .*\.log, /,
    );
    expect(listener.numbers).toHaveLength(20);
  });
});

/** Stamps as nodes write them: in their own zone, with zeros trimmed. */
const nodeStamp = () =>
  `2026-01-09T13:00:0${Math.floor(next / 200) % 10}.${String(next % 200).padStart(3, '0')}5+01:00 `;
const dockerStamp = () => `main 2026-01-09T12:00:00.${String(next).padStart(9, '0')}Z `;

describe('containers by their label', () => {
  it('are found, found again under a new id, and read on over a restart', async () => {
    const input = { kind: 'docker-label' as const, label: 'app=worker' };
    writeFileSync(join(folder, 'members'), 'app=worker aaa1 worker-1\napp=other bbb2 other-1\n');
    write('aaa1.log', 5, dockerStamp);
    const first = life(input);
    await first.listener.untilNumber(5);
    // Made anew: the old one and its log are gone.
    writeFileSync(join(folder, 'members'), 'app=worker ccc3 worker-1\n');
    unlinkSync(join(folder, 'aaa1.log'));
    write('ccc3.log', 700, dockerStamp);
    await first.listener.untilNumber(next - 1);
    await first.tail.stop();
    expect(first.listener.numbers).toEqual(range(1, 705));
    expect(first.listener.texts('note')).toEqual(['Found docker worker-1 (ccc3); it is read too.']);
    write('ccc3.log', 5, dockerStamp);
    const second = life(input);
    await second.listener.untilNumber(next - 1);
    await second.tail.stop();
    expect(second.listener.numbers).toEqual(range(706, 710));
    expect([...first.listener.texts('gap'), ...second.listener.texts('gap')]).toEqual([]);
    expect(processes()).toEqual([]);
  });
});

describe('pods', () => {
  it('are read by name without a lost or doubled line, though kubectl goes back to whole seconds', async () => {
    const input = { kind: 'kubernetes' as const, namespace: 'jobs', pod: 'worker-0', container: 'main' };
    const lives: RecordingListener[] = [];
    write('worker-0.log', 450, () => `main ${nodeStamp()}`);
    for (let round = 0; round < 3; round += 1) {
      const { tail, listener } = life(input);
      lives.push(listener);
      await listener.untilNumber(next - 1);
      write('worker-0.log', 170, () => `main ${nodeStamp()}`);
      appendFileSync(join(folder, 'worker-0.log'), `sidecar ${nodeStamp()}line 0 end\n`);
      await listener.untilNumber(next - 1);
      await tail.stop();
      write('worker-0.log', 3, () => `main ${nodeStamp()}`);
    }
    expect(lives.flatMap(({ numbers }) => numbers)).toEqual(range(1, next - 4));
    expect(lives.flatMap((each) => each.texts('gap'))).toEqual([]);
    expect(lives[0]?.all[0]?.atMs).toBe(Date.UTC(2026, 0, 9, 12, 0, 0, 1));
  });

  it('are found by a selector, with the lines of all their containers', async () => {
    const input = { kind: 'kubernetes' as const, namespace: 'jobs', selector: 'app=worker' };
    writeFileSync(join(folder, 'members'), 'app=worker worker-a\n');
    writeFileSync(
      join(folder, 'worker-a.log'),
      `main ${nodeStamp()}ready\nsidecar ${nodeStamp()}ready too\n`,
    );
    const { tail, listener } = life(input);
    await until(() => listener.texts('line').length === 2);
    expect(listener.texts('line')).toEqual(['[main] ready', '[sidecar] ready too']);
    writeFileSync(join(folder, 'worker-b.log'), `main ${nodeStamp()}hello\n`);
    appendFileSync(join(folder, 'members'), 'app=worker worker-b\n');
    await until(() => listener.texts('line').includes('[main] hello'));
    await tail.stop();
    expect(listener.texts('note')).toEqual(['Found pod jobs/worker-b; it is read too.']);
  });
});

describe('the steps of "Test"', () => {
  it('look at each kind of input of this computer', async () => {
    writeFileSync(join(folder, 'members'), 'app=worker aaa1 worker-1\n');
    write('worker-0.log', 1);
    const inputs: LogInput[] = [
      { kind: 'files', pattern: `${folder}/*.log` },
      { kind: 'files', pattern: `${folder}/*.none` },
      { kind: 'docker-label', label: 'app=worker' },
      { kind: 'kubernetes', namespace: 'jobs', pod: 'worker-0' },
      { kind: 'kubernetes', namespace: 'jobs', pod: 'nobody' },
      { kind: 'kubernetes', namespace: 'other', selector: 'app=worker' },
      { kind: 'command', command: ['sh', '-c', 'exit 1'] },
      { kind: 'command', command: ['no-such-program'] },
    ];
    const steps = new Map<string, TestStep>();
    const signal = new AbortController().signal;
    await testLogHosts([settings(...inputs)], deps(), (step) => steps.set(step.id, step), signal);
    const found = [...steps.values()].map(({ state, detail, error }) => [state, error?.message ?? detail]);
    expect(found).toEqual([
      ['ok', `1 found: ${folder}/worker-0.log`],
      ['warning', 'There is nothing like it now. What appears later is read.'],
      ['ok', '1 found: docker worker-1 (aaa1)'],
      ['ok', 'pod/worker-0'],
      ['failed', expect.stringContaining('There is no pod nobody in the namespace jobs')],
      ['failed', expect.stringContaining('may not read pod with app=worker in the namespace other')],
      ['ok', 'it is there; it is not run for a test'],
      [
        'failed',
        'no-such-program is not there on localhost, or not in the PATH of a login without a terminal.',
      ],
    ]);
  });
});
