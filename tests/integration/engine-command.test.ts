// Programs that misbehave in every way we know of (incident 3): each job ends with the right word, and nothing is left.
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jobKindSchema } from '../../src/contract/job-kinds.ts';
import { JobError } from '../../src/main/engine/workers/handler.ts';
import { CommandHandler, type CommandKind } from '../../src/main/engine/workers/handlers/command-handler.ts';
import { ProcessWatch } from '../../src/main/engine/workers/handlers/process-watch.ts';
import { type TempDir, tempDir } from '../harness/temp.ts';
import { until } from '../harness/until.ts';
import { aContext, aJob, aMark, fastClock, openHandles } from './engine-handler-fixture.ts';

const FASTER = 10;
const clock = fastClock(FASTER);

let folder: TempDir;
let watch: ProcessWatch;
let mark: ReturnType<typeof aMark>;
let before: ReturnType<typeof openHandles>;
beforeEach(async () => {
  folder = await tempDir('command');
  mark = aMark();
  before = openHandles();
  watch = new ProcessWatch(clock);
});
afterEach(async () => {
  // The promise of every test here: no process of the job, no pipe, no timer of ours.
  expect(mark.pids()).toEqual([]);
  await watch[Symbol.asyncDispose]();
  expect(clock.timers()).toBe(0);
  await until(
    () => openHandles() === before,
    () => `open are ${openHandles()}; before: ${before}`,
    2_000,
  );
  await folder[Symbol.asyncDispose]();
});

function handlerOf(settings: object, rest: object = {}): CommandHandler {
  const kind = jobKindSchema.parse({
    kind: 'test',
    handler: {
      type: 'command',
      ...settings,
      env: { ...mark.env, ...('env' in settings ? (settings.env as object) : {}) },
    },
    ...rest,
  });
  return new CommandHandler(kind as typeof kind & CommandKind, {
    folder: folder.path,
    secret: () => Promise.resolve('correct horse'),
    clock,
    processes: watch,
  });
}

const sh = (script: string): { command: string[] } => ({ command: ['/bin/sh', '-c', script] });

/** The failure of one attempt. */
async function failureOf(handler: CommandHandler, payload: unknown = null, signal?: AbortSignal) {
  const error: unknown = await handler.run(aJob(payload), aContext(signal).context).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof JobError)) throw new Error('a JobError was expected', { cause: error });
  return error;
}

describe('a program that does its work', () => {
  it('reads the payload, has the declared environment and directory and no other, and books its stage', async () => {
    await mkdir(join(folder.path, 'inner'));
    process.env['HEADWAY_SHOULD_NOT_PASS'] = 'yes';
    const handler = handlerOf({
      ...sh('cat > payload.json; env > env.txt; pwd > pwd.txt'),
      cwd: 'inner',
      env: { COLOUR: 'green', TOKEN: { env: 'X' } },
    });
    const { context, stages } = aContext();
    await handler.run(aJob({ to: 'ann', text: 'ä'.repeat(300_000) }), context);
    delete process.env['HEADWAY_SHOULD_NOT_PASS'];
    expect(stages).toEqual(['script']);
    const read = (name: string) => readFile(join(folder.path, 'inner', name), 'utf8');
    expect(JSON.parse(await read('payload.json'))).toMatchObject({ to: 'ann' });
    expect((await read('pwd.txt')).trim()).toBe(join(folder.path, 'inner'));
    const env = await read('env.txt');
    expect(env).toContain('COLOUR=green');
    expect(env).toContain('TOKEN=correct horse');
    expect(env).not.toContain('HEADWAY_SHOULD_NOT_PASS');
  });

  it('passes arguments as they are: no shell reads them', async () => {
    const handler = handlerOf({
      command: ['/bin/sh', '-c', 'test "$1" = "\\$(id); a b"', 'x', '$(id); a b'],
    });
    await handler.run(aJob(), aContext().context);
  });

  it('may close its standard input or never read it', async () => {
    const payload = 'x'.repeat(5_000_000);
    await handlerOf(sh('exec 0<&-; sleep 0.2')).run(aJob(payload), aContext().context);
    await handlerOf(sh('exit 0')).run(aJob(payload), aContext().context);
  });

  it('counts declared codes as success', async () => {
    await handlerOf({ ...sh('exit 3'), successCodes: [0, 3] }).run(aJob(), aContext().context);
  });

  it('may print JSON, and a default result stands in for what is none', async () => {
    await handlerOf({ ...sh(`echo '{"ok": true}'`), output: 'json' }).run(aJob(), aContext().context);
    const { context, notes } = aContext();
    await handlerOf({ ...sh('echo broken'), output: 'json', defaultResult: {} }).run(aJob(), context);
    expect(notes[0]?.note).toContain('is no JSON');
  });
});

describe('a program that fails', () => {
  it('keeps its exit code, its last word and the end of its standard error', async () => {
    const error = await failureOf(handlerOf(sh('echo first >&2; echo "no such account" >&2; exit 7')));
    expect(error).toMatchObject({ class: 'transient', stderrTail: 'first\nno such account\n' });
    expect(error.message).toBe('"sh" ended with code 7: no such account');
  });

  it('has the class that its exit code is declared to mean', async () => {
    const handler = handlerOf({
      ...sh('cat >/dev/null; exit 65'),
      errorCodes: { permanent: [64, 65], quota: [69] },
    });
    expect((await failureOf(handler)).class).toBe('permanent');
  });

  it('names the signal that killed it', async () => {
    expect((await failureOf(handlerOf(sh('kill -SEGV $$')))).message).toBe('"sh" was killed by SIGSEGV');
  });

  it('tells empty output and broken JSON apart', async () => {
    const empty = await failureOf(handlerOf({ ...sh('true'), output: 'json' }));
    expect(empty.message).toContain('wrote nothing to standard output');
    const broken = await failureOf(handlerOf({ ...sh(`printf '{"a": 1'`), output: 'json' }));
    expect(broken.message).toContain('is no JSON');
  });

  it('shows no secret of its environment', async () => {
    const handler = handlerOf({
      ...sh('echo "token $TOKEN refused" >&2; exit 1'),
      env: { TOKEN: { env: 'X' } },
    });
    const error = await failureOf(handler);
    expect(error.message).toBe('"sh" ended with code 1: token [secret] refused');
    expect(error.stderrTail).toBe('token [secret] refused\n');
  });
});

describe('a program that cannot be started', () => {
  const problem = async (settings: object): Promise<string> => {
    const handler = handlerOf(settings);
    const upFront = await handler.check();
    const error = await failureOf(handler);
    expect(error).toMatchObject({ class: 'transient', message: upFront });
    return error.message;
  };

  it('is named, up front and at the job: missing, not executable, no directory, no interpreter', async () => {
    const at = (name: string) => join(folder.path, name);
    await writeFile(at('plain'), 'echo hello\n');
    await writeFile(at('script'), '#!/opt/no/such/python\n', { mode: 0o755 });
    expect(await problem({ command: ['no-such-program'] })).toMatch(
      /^there is no program "no-such-program" in its PATH \(/,
    );
    expect(await problem({ command: ['./gone'] })).toBe(`there is no program ${at('gone')}`);
    expect(await problem({ command: ['./plain'] })).toBe(
      `${at('plain')} is not executable for this user (chmod +x)`,
    );
    expect(await problem({ command: ['./script'] })).toContain('asks for /opt/no/such/python');
    expect(await problem({ command: [folder.path] })).toContain('is no program but a directory');
    expect(await problem({ command: ['true'], cwd: 'gone' })).toBe(
      `its working directory ${at('gone')} does not exist`,
    );
    expect(await problem({ command: ['true'], cwd: 'plain' })).toContain('is not a directory');
    await chmod(at('plain'), 0o755);
    expect(await handlerOf({ command: ['./plain'] }).check()).toBeNull();
    expect(await handlerOf({ command: ['true'], probe: ['./gone'] }).check()).toContain(
      'its probe: there is no program',
    );
  });

  it('is refused with arguments that are too long', async () => {
    const handler = handlerOf({ command: ['true', 'x'.repeat(3_000_000)] });
    expect((await failureOf(handler)).message).toContain('too long');
  });
});

describe('a program that does not end', () => {
  it('is ended after its script time, and says so', async () => {
    const handler = handlerOf(sh('echo working >&2; sleep 1000'), {
      timeouts: { jobSeconds: 60, scriptSeconds: 2 },
    });
    const error = await failureOf(handler);
    expect(error).toMatchObject({ class: 'timeout', stderrTail: 'working\n' });
    expect(error.message).toBe('"sh" took longer than 2 s (scriptSeconds) and was ended');
  });

  it('is ended with its job, and what it said until then is kept', async () => {
    const job = new AbortController();
    const handler = handlerOf(sh('echo hanging >&2; sleep 1000'));
    const failed = failureOf(handler, null, job.signal);
    await until(() => mark.pids().length > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    job.abort(new JobError('timeout', 'the job took longer than 60 s (jobSeconds)'));
    const error = await failed;
    expect(error).toMatchObject({ class: 'timeout', message: 'the job took longer than 60 s (jobSeconds)' });
    expect(error.stderrTail).toBe('hanging\n');
  });

  it('is ended though it ignores SIGTERM, with all that it forked', async () => {
    const script =
      'trap "" TERM; for i in 1 2 3; do (trap "" TERM; while :; do sleep 1; done) & done; sleep 1000; sleep 1000';
    const error = await failureOf(handlerOf(sh(script), { timeouts: { jobSeconds: 60, scriptSeconds: 2 } }));
    expect(error.class).toBe('timeout');
  });

  it('without a script time is ended a little before its job, so that its last words are kept', async () => {
    const script = `trap 'echo "at page 9" >&2; exit 1' TERM; sleep 1000 & wait`;
    const error = await failureOf(handlerOf(sh(script), { timeouts: { jobSeconds: 4 } }));
    expect(error).toMatchObject({ class: 'timeout', stderrTail: 'at page 9\n' });
    expect(error.message).toContain(
      'was still running when its 4 s (jobSeconds) were nearly up, and was ended',
    );
  });

  it('may tidy up when it is told to end', async () => {
    const script = `trap 'echo tidy > tidied.txt; exit 0' TERM; sleep 1000 & wait`;
    await failureOf(handlerOf(sh(script), { timeouts: { jobSeconds: 60, scriptSeconds: 2 } }));
    expect(await readFile(join(folder.path, 'tidied.txt'), 'utf8')).toBe('tidy\n');
  });

  it('is ended though it was stopped, and though its children left for groups and sessions of their own', async () => {
    const script = 'setsid sleep 1000 & set -m; sleep 1000 & kill -STOP $$; wait';
    const error = await failureOf(handlerOf(sh(script), { timeouts: { jobSeconds: 60, scriptSeconds: 3 } }));
    expect(error.class).toBe('timeout');
  });

  it('is ended when its handler is put away', async () => {
    const handler = handlerOf(sh('trap "" TERM; sleep 1000; sleep 1000'));
    const ended = handler.run(aJob(), aContext().context).catch((error: unknown) => error);
    await until(() => mark.pids().length > 0);
    await handler[Symbol.asyncDispose]();
    expect(mark.pids()).toEqual([]);
    expect(String(await ended)).toContain('was closed');
  });
});

describe('a program that leaves something behind', () => {
  it('has done its job when its leader ends well; the rest of the group is ended', async () => {
    await handlerOf(sh('sleep 1000 >/dev/null 2>&1 </dev/null & exit 0')).run(aJob(), aContext().context);
  });

  it('holds no pipe of ours: a grandchild with our standard output is ended', async () => {
    await handlerOf({
      ...sh(`echo '[1]'; (trap "" TERM; sleep 1000; sleep 1000) & exit 0`),
      output: 'json',
    }).run(aJob(), aContext().context);
  });

  it('lets a short straggler write to its end', async () => {
    await handlerOf({ ...sh(`(sleep 0.01; echo '{"late": 1}') & exit 0`), output: 'json' }).run(
      aJob(),
      aContext().context,
    );
  });

  it('is not waited for when it got away into a session of its own', async () => {
    // Looked at while it ran: once it is known, it is found wherever it went.
    const script = 'setsid sh -c "sleep 1000; :" & sleep 0.6';
    await handlerOf(sh(script)).run(aJob(), aContext().context);
  });
});

describe('a program that floods', () => {
  it('is read on without memory of ours', async () => {
    const megabytes = 300;
    const beforeBytes = process.memoryUsage().rss;
    let mostBytes = 0;
    const look = setInterval(() => (mostBytes = Math.max(mostBytes, process.memoryUsage().rss)), 10);
    const script = `head -c ${megabytes * 1_000_000} /dev/zero; echo "the end" >&2; exit 9`;
    const error = await failureOf(handlerOf(sh(script)));
    clearInterval(look);
    expect(error.message).toBe('"sh" ended with code 9: the end');
    expect(mostBytes - beforeBytes).toBeLessThan(200_000_000);
  });

  it('keeps the end of a flood on standard error', async () => {
    const error = await failureOf(
      handlerOf(sh('yes 0123456789 | head -n 300000 >&2; echo "last line" >&2; exit 1')),
    );
    expect(error.stderrTail).toHaveLength(4096);
    expect(error.message).toBe('"sh" ended with code 1: last line');
  });

  it('is ended at once when JSON was wanted', async () => {
    const error = await failureOf(handlerOf({ command: ['yes', '1'], output: 'json' }));
    expect(error).toMatchObject({ class: 'permanent' });
    expect(error.message).toContain('more than 1 MB');
  });
});

describe('a program that grows', () => {
  it('is shown with its processes and memory while it runs', async () => {
    const handler = handlerOf(sh('sleep 1000 & sleep 1000; :'));
    const stop = new AbortController();
    const ended = handler.run(aJob(), aContext(stop.signal).context).catch((error: unknown) => error);
    await until(() => (handler.use(1)?.memoryBytes ?? 0) > 0, 'no memory was reported');
    const pid = handler.use(1)?.pid ?? 0;
    expect(mark.pids()).toContain(pid);
    expect(handler.use(1)).toMatchObject({ memoryLimitBytes: 512 * 1024 * 1024 });
    stop.abort(new Error('enough'));
    expect(await ended).toMatchObject({ message: 'enough' });
    expect(handler.use(1)).toBeNull();
  });

  it('is ended over its limit, counting what it forked', async () => {
    const grow = `const kept = Buffer.alloc(60_000_000, 1); setInterval(() => kept.at(0), 1000);`;
    const script = `"${process.execPath}" -e '${grow}' & "${process.execPath}" -e '${grow}' & wait`;
    const error = await failureOf(handlerOf(sh(script), { memory: { limitMegabytes: 120 } }));
    expect(error).toMatchObject({ class: 'permanent' });
    expect(error.message).toMatch(/held \d+ MB of memory, over its limit of 120 MB/);
  });
});

describe('its probe', () => {
  it('runs before it, at most once a minute, and is a stage of its own', async () => {
    const handler = handlerOf({ command: ['true'], probe: ['/bin/sh', '-c', 'echo x >> probes.txt'] });
    const first = aContext();
    const second = aContext();
    await Promise.all([handler.run(aJob(), first.context), handler.run(aJob(), second.context)]);
    const third = aContext();
    await handler.run(aJob(), third.context);
    expect([first.stages, second.stages, third.stages]).toEqual([
      ['probe', 'script'],
      ['probe', 'script'],
      ['script'],
    ]);
    expect(await readFile(join(folder.path, 'probes.txt'), 'utf8')).toBe('x\n');
  });

  it('keeps jobs from a sick script, and says when it is looked at again', async () => {
    const handler = handlerOf({
      ...sh('echo ran > ran.txt'),
      probe: ['/bin/sh', '-c', 'echo "no licence" >&2; exit 4'],
    });
    const error = await failureOf(handler);
    expect(error.message).toBe('the probe "sh" ended with code 4: no licence');
    expect(error.retryAfterMs).toBeGreaterThan(50_000);
    expect(error.retryAfterMs).toBeLessThanOrEqual(60_000);
    await failureOf(handler);
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('has a time of its own, the innermost named', async () => {
    const handler = handlerOf(
      { command: ['true'], probe: ['sleep', '1000'] },
      { timeouts: { jobSeconds: 60, scriptSeconds: 30, probeSeconds: 1 } },
    );
    const error = await failureOf(handler);
    expect(error).toMatchObject({ class: 'timeout' });
    expect(error.message).toBe('the probe "sleep" took longer than 1 s (probeSeconds) and was ended');
  });
});
