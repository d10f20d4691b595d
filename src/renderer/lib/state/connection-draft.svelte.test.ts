import { describe, expect, it } from 'vitest';
import type { ConnectionTest, TestStep } from '../../../contract/connection-test.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import { connectionSettingsSchema } from '../../../contract/settings.ts';
import type { Backend, StreamListener } from './backend.ts';
import { ConnectionDraft } from './connection-draft.svelte.ts';
import { ConnectionDrafts } from './connection-drafts.ts';

const settings = connectionSettingsSchema.parse({
  id: 'prod',
  name: 'Production',
  kind: 'postal',
  database: { host: 'db', user: 'headway', database: 'postal' },
});
const unknownKey: TestStep = {
  id: 'log.0.connect',
  title: 'Connect',
  state: 'failed',
  durationMs: 3,
  detail: '',
  error: {
    code: 'host-key-unknown',
    message: 'not known',
    retryable: false,
    details: { host: 'mail-1', port: '2222', fingerprint: 'SHA256:abc' },
  },
};

function stage(refuse: string[] = []) {
  const calls: [string, unknown][] = [];
  const tests: { params: unknown; listener: StreamListener<'connectionTest'>; ended: boolean }[] = [];
  const backend: Backend = {
    call: (method, input) => {
      calls.push([method, input]);
      if (refuse.includes(method))
        return Promise.reject(new HeadwayError('storage-failed', 'The disk is full.'));
      // Nothing reads the answers of other methods.
      return Promise.resolve((method === 'connections.get' ? settings : { id: 'prod' }) as never);
    },
    subscribe: (_stream, params, listener) => {
      // Only tests are subscribed to here.
      const test = {
        params,
        listener: listener as unknown as StreamListener<'connectionTest'>,
        ended: false,
      };
      tests.push(test);
      return () => (test.ended = true);
    },
  };
  return { backend, calls, tests };
}
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const told = (steps: TestStep[], done: boolean): ConnectionTest => ({ steps, done });

describe('ConnectionDraft', () => {
  it('derives the id from the name until it is typed', () => {
    const draft = new ConnectionDraft(stage().backend, null);
    draft.setName('Postal EU');
    expect(draft.fields.id).toBe('postal-eu');
    draft.setId('mine');
    draft.setName('Postal US');
    expect(draft.fields.id).toBe('mine');
  });

  it('moves a password out of the pasted URL', () => {
    const draft = new ConnectionDraft(stage().backend, null);
    draft.setUrl('mysql://u:s3cret@h/d');
    expect(draft.fields.password.value).toBe('s3cret');
    expect(draft.url).not.toContain('s3cret');
    draft.setUrl('postgres://h');
    expect(draft.urlProblem).toContain('begins with postgres://');
  });

  it('keeps the usual port with the system, and one that was typed', () => {
    const draft = new ConnectionDraft(stage().backend, null);
    draft.setSystem({ kind: 'queue' });
    expect(draft.fields).toMatchObject({ port: '5432', database: '' });
    draft.setSystem({ queue: { system: 'jobs-table', databaseType: 'mysql' } });
    expect(draft.fields.port).toBe('3306');
    // The others run on PostgreSQL alone.
    draft.setSystem({ queue: { system: 'pg-boss' } });
    expect(draft.fields.port).toBe('5432');
    draft.fields.port = '6432';
    draft.setSystem({ kind: 'postal' });
    expect(draft.fields).toMatchObject({ port: '6432', database: 'postal' });
  });

  it('fills in the audited table under the name that was typed', () => {
    const draft = new ConnectionDraft(stage().backend, null);
    draft.fillAsAudited();
    expect(draft.fields.queue.mapping).toMatchObject({ table: 'jobs', tenant: 'user_id' });
    draft.fields.queue.mapping.table = 'app.tasks';
    draft.fillAsAudited();
    expect(draft.fields.queue.mapping.table).toBe('app.tasks');
  });

  it('is dirty once a field differs from what was read', async () => {
    const draft = new ConnectionDraft(stage().backend, 'prod');
    await settled();
    expect(draft.fields.host).toBe('db');
    expect(draft.dirty).toBe(false);
    draft.fields.host = 'db2';
    expect(draft.dirty).toBe(true);
  });

  it('ends a test that is done, so that a lost line does not begin it again', async () => {
    const { backend, tests } = stage();
    const draft = new ConnectionDraft(backend, 'prod');
    await settled();
    draft.test(draft.read([]));
    const [test] = tests;
    test?.listener.snapshot(told([], false));
    expect(draft.testing).toBe(true);
    test?.listener.delta(told([unknownKey], true));
    expect(draft).toMatchObject({ testing: false, tested: true, steps: [unknownKey] });
    expect(test?.ended).toBe(true);
  });

  it('tests nothing while fields are wrong, and shows them', () => {
    const { backend, tests } = stage();
    const draft = new ConnectionDraft(backend, null);
    const form = draft.read([]);
    expect(draft.shown(form.problems)).toEqual({});
    draft.test(form);
    expect(tests).toHaveLength(0);
    expect(draft.shown(form.problems)).toHaveProperty('name');
  });

  it('trusts the key that the step showed', async () => {
    const { backend, calls } = stage();
    const draft = new ConnectionDraft(backend, null);
    expect(await draft.trust(unknownKey)).toBe(true);
    expect(calls.at(-1)).toEqual([
      'hostKeys.accept',
      { host: 'mail-1', port: 2222, fingerprint: 'SHA256:abc' },
    ]);
  });

  it('keeps what was typed when saving is refused', async () => {
    const { backend } = stage(['connections.save']);
    const draft = new ConnectionDraft(backend, 'prod');
    await settled();
    draft.fields.name = 'Renamed';
    expect(await draft.save(draft.read([]))).toBe(false);
    expect(draft).toMatchObject({ saving: false, dirty: true, error: { message: 'The disk is full.' } });
  });
});

describe('ConnectionDrafts', () => {
  it('keeps what was changed and lets go of the rest', async () => {
    const { backend } = stage();
    const drafts = new ConnectionDrafts(backend);
    const draft = drafts.open('prod');
    await settled();
    drafts.close('prod');
    const again = drafts.open('prod');
    expect(again).not.toBe(draft);
    await settled();
    again.fields.name = 'Renamed';
    drafts.close('prod');
    expect(drafts.open('prod')).toBe(again);
    drafts.discard('prod');
    expect(drafts.open('prod')).not.toBe(again);
  });
});
