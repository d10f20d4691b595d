import { describe, expect, it } from 'vitest';
import { engineSettingsSchema } from '../../../contract/job-kinds.ts';
import type { EngineSettings } from '../../../contract/job-kinds.ts';
import { newKind, newPair } from './kind-form.ts';
import { engineFieldsOf, newTenant, problemAt, readEngineFields } from './kinds-form.ts';

const settings: EngineSettings = engineSettingsSchema.parse({
  workers: 4,
  order: 'fair-time',
  stopSeconds: 5,
  tenants: { edify: { weight: 0.5, cap: 2 } },
  kinds: [
    {
      kind: 'sync',
      handler: {
        type: 'command',
        command: ['/opt/sync.py', '--name', 'north wind'],
        cwd: '/opt',
        env: { MODE: 'full', TOKEN: { env: 'SYNC_TOKEN' }, KEY: { file: '/run/key' } },
        input: 'nothing',
        output: 'json',
        defaultResult: { items: [] },
        successCodes: [0, 4],
        errorCodes: { permanent: [2, 3] },
        probe: ['/opt/sync.py', '--check'],
      },
      timeouts: { jobSeconds: 1800, scriptSeconds: 900, probeSeconds: 780 },
      retry: {
        maxAttempts: 3,
        classes: { timeout: { baseSeconds: 30, retry: false }, quota: { ceilingSeconds: 9 } },
      },
      concurrency: 3,
      rate: { starts: 60, perSeconds: 0.5 },
      breaker: { dependency: 'supplier', failureRatio: 0.25 },
      throttle: { minimum: 1, start: 2, maximum: 3 },
      memory: { limitMegabytes: 64 },
      onDeadParent: 'cancel',
      priority: -5,
      payloadLimitMegabytes: 0.5,
      redact: ['user.email', 'items.*.token'],
    },
    { kind: 'normalise', handler: { type: 'module', file: '/opt/n.ts', export: 'run' }, dependsOn: ['sync'] },
    {
      kind: 'embed',
      handler: {
        type: 'http',
        url: 'https://models.example.com/',
        method: 'PUT',
        headers: { authorization: { stored: 'embed' } },
        body: 'nothing',
      },
    },
    { kind: 'elsewhere', handler: { type: 'pull' } },
  ],
});
const fields = () => engineFieldsOf(settings);

describe('kinds and fields', () => {
  it('come back as they were', () => {
    expect(readEngineFields(fields())).toEqual({ settings, problems: {} });
  });

  it('make a new kind of a name and a command, everything else as shipped', () => {
    const form = fields();
    form.kinds.push({ ...newKind(), kind: 'tidy', command: 'tidy\n--all' });
    expect(readEngineFields(form).settings?.kinds.at(-1)).toEqual(
      engineSettingsSchema.parse({
        kinds: [{ kind: 'tidy', handler: { type: 'command', command: ['tidy', '--all'] } }],
      }).kinds[0],
    );
  });

  it('keep of a handler only what belongs to its type', () => {
    const form = fields();
    const [sync] = form.kinds;
    if (sync === undefined) throw new Error('no kind');
    Object.assign(sync, { type: 'http', url: 'http://localhost/sync' });
    expect(readEngineFields(form).settings?.kinds[0]?.handler).toEqual({
      type: 'http',
      url: 'http://localhost/sync',
      method: 'POST',
      headers: {},
      body: 'payload',
    });
  });
});

describe('problems', () => {
  const problemsOf = (change: (form: ReturnType<typeof fields>) => void) => {
    const form = fields();
    change(form);
    const { settings: read, problems } = readEngineFields(form);
    expect(read).toBeNull();
    return problems;
  };

  it('of a new kind are its name and its command', () => {
    const problems = problemsOf((form) => form.kinds.push(newKind()));
    expect(Object.keys(problems)).toEqual(['kinds.4.kind', 'kinds.4.handler.command']);
  });

  it('of nested times stand at the inner one', () => {
    const problems = problemsOf((form) => Object.assign(form.kinds[0] ?? {}, { scriptSeconds: '1800' }));
    expect(problemAt(problems, 'kinds.0.timeouts.scriptSeconds')).toBe('must be shorter than jobSeconds');
  });

  it('of a kind that is not there, or waits for itself in a circle, are said', () => {
    expect(
      problemAt(
        problemsOf((form) => Object.assign(form.kinds[1] ?? {}, { dependsOn: 'sink' })),
        'kinds.1.dependsOn',
      ),
    ).toBe('there is no kind "sink"');
    expect(
      problemsOf((form) => Object.assign(form.kinds[0] ?? {}, { dependsOn: 'normalise' }))['kinds'],
    ).toContain('wait for each other');
  });

  it('that only the form can see are said, too', () => {
    expect(problemsOf((form) => Object.assign(form.kinds[0] ?? {}, { defaultResult: '{' }))).toHaveProperty([
      'kinds.0.handler.defaultResult',
    ]);
    expect(
      problemsOf((form) => form.kinds[0]?.env.push({ ...newPair(), name: 'MODE' }))['kinds.0.handler.env'],
    ).toBe('“MODE” stands here twice');
    expect(
      problemsOf((form) => form.tenants.push({ ...newTenant(), id: 'edify' }))['tenants.edify'],
    ).toContain('twice');
    expect(problemsOf((form) => form.tenants.push(newTenant()))).toHaveProperty(['tenants.']);
  });

  it('of text where a number belongs stand at its field', () => {
    const problems = problemsOf((form) => {
      form.workers = 'many';
      Object.assign(form.kinds[0] ?? {}, { concurrency: 'two', rateStarts: '' });
    });
    expect(problems).toMatchObject({
      workers: 'A number is needed',
      'kinds.0.concurrency': 'A number is needed',
      'kinds.0.rate.starts': 'A number is needed',
    });
  });
});
