import { beforeEach, describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import { engineSettingsSchema } from '../../../contract/job-kinds.ts';
import { KindsDraft } from './kinds-draft.svelte.ts';
import { RunNow } from './run-now.svelte.ts';
import { TestBackend } from './test-backend.ts';
import { settled } from './test-engine.ts';

const settings = engineSettingsSchema.parse({
  kinds: [{ kind: 'sync', handler: { type: 'command', command: ['sync'] } }],
});
let backend: TestBackend;
let draft: KindsDraft;
const saved = () => backend.calls.filter(({ method }) => method === 'engine.saveSettings');

beforeEach(async () => {
  backend = new TestBackend();
  backend.answer = (method) => (method === 'engine.settings' ? settings : {});
  draft = new KindsDraft(backend);
  await settled();
});

describe('kinds under edit', () => {
  it('are saved as a whole, and then are clean', async () => {
    expect(draft.dirty).toBe(false);
    draft.add();
    Object.assign(draft.chosen?.kind ?? {}, { kind: 'tidy', command: 'tidy' });
    expect(draft.dirty).toBe(true);
    expect(await draft.save()).toBe(true);
    expect(saved()).toHaveLength(1);
    expect(draft).toMatchObject({ dirty: false, saving: false });
    expect(draft.chosen?.kind.kind).toBe('tidy');
  });

  it('show a problem at once in a field that was touched, all of them once somebody saves', async () => {
    draft.add();
    expect(draft.shown).toEqual({});
    draft.touch('kinds.1.kind');
    expect(Object.keys(draft.shown)).toEqual(['kinds.1.kind']);
    expect(await draft.save()).toBe(false);
    expect(saved()).toEqual([]);
    expect(Object.keys(draft.shown)).toEqual(['kinds.1.kind', 'kinds.1.handler.command']);
  });

  it('keep what was typed when the backend refuses', async () => {
    backend.answer = () => {
      throw new HeadwayError('storage-failed', 'The disk is full.');
    };
    if (draft.fields !== null) draft.fields.workers = '3';
    expect(await draft.save()).toBe(false);
    expect(draft).toMatchObject({ dirty: true, error: { message: 'The disk is full.' } });
  });

  it('go back to what is saved, the kind in view staying in view', () => {
    draft.chosenKey = draft.fields?.kinds[0]?.key ?? null;
    Object.assign(draft.chosen?.kind ?? {}, { priority: '9' });
    draft.discard();
    expect(draft.dirty).toBe(false);
    expect(draft.chosen?.kind).toMatchObject({ kind: 'sync', priority: '0' });
  });

  it('that are removed hand the view to their neighbour', () => {
    draft.add();
    const key = draft.chosen?.kind.key ?? -1;
    draft.remove(key);
    expect(draft.chosen?.kind.kind).toBe('sync');
    draft.remove(draft.chosen?.kind.key ?? -1);
    expect(draft.chosen).toBeNull();
  });
});

describe('a job run by hand', () => {
  it('is sent with its payload as data', async () => {
    backend.answer = () => ({ id: 81 });
    const run = new RunNow(backend, 'local-engine');
    run.tenantId = ' edify ';
    run.payload = '{"a": [1]}';
    await run.send('sync');
    expect(backend.calls.at(-1)).toEqual({
      method: 'engine.enqueue',
      input: { connectionId: 'local-engine', kind: 'sync', tenantId: 'edify', payload: { a: [1] } },
    });
    expect(run.jobId).toBe(81);
  });

  it('is not sent while its payload is no JSON, and says what refused it', async () => {
    const run = new RunNow(backend, 'local-engine');
    run.payload = '{a: 1}';
    expect(run.payloadProblem).toContain('Not JSON');
    const before = backend.calls.length;
    await run.send('sync');
    expect(backend.calls).toHaveLength(before);
    run.payload = '{}';
    backend.answer = () => {
      throw new HeadwayError('conflict', 'It is being drained.');
    };
    await run.send('sync');
    expect(run).toMatchObject({ problem: 'It is being drained.', jobId: null, sending: false });
  });
});
