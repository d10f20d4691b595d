import { beforeEach, describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import { exact } from '../../../core/count.ts';
import { EngineActions, whyNoChange } from './engine-actions.svelte.ts';
import { TestBackend } from './test-backend.ts';
import { engineView, jobRecord, settled } from './test-engine.ts';

let backend: TestBackend;
let actions: EngineActions;
const scope = { tenantId: null, kind: 'sync' };
const sent = () => backend.calls.map(({ method }) => method);

beforeEach(() => {
  backend = new TestBackend();
  actions = new EngineActions(backend, 'jobs', () => ({ byName: false, nameOf: (id) => id }));
});

describe('changes to an engine', () => {
  it('are sent only once they are confirmed, with their reason', async () => {
    actions.ask({ do: 'hold', mode: 'pause', scope });
    expect(sent()).toEqual([]);
    actions.reason = ' supplier is down ';
    let told = 0;
    actions.onDone = () => (told += 1);
    expect(await actions.confirm()).toBe(true);
    expect(backend.calls).toEqual([
      {
        method: 'engine.hold',
        input: {
          connectionId: 'jobs',
          tenantId: null,
          kind: 'sync',
          mode: 'pause',
          reason: 'supplier is down',
        },
      },
    ]);
    expect(actions.asked).toBeNull();
    expect(told).toBe(1);
  });

  it('show some of the jobs they would touch, and stay asked while a name is to be typed', async () => {
    backend.answer = (method) => (method === 'engine.deadJobs' ? [jobRecord(7)] : {});
    const filter = { kind: 'sync', cause: 'it hung' };
    actions.ask({ do: 'bulk', what: 'discard', filter, count: exact(5) });
    await settled();
    expect(actions.sample?.map(({ id }) => id)).toEqual([7]);
    expect(actions.ready).toBe(false);
    expect(await actions.confirm()).toBe(false);
    actions.typed = 'sync';
    expect(await actions.confirm()).toBe(true);
    expect(backend.calls.at(-1)).toEqual({
      method: 'engine.bulk',
      input: { connectionId: 'jobs', what: 'discard', filter },
    });
  });

  it('that are refused stay asked and say why', async () => {
    backend.answer = () => {
      throw new HeadwayError('unauthorized', 'This connection is read-only.');
    };
    actions.ask({ do: 'unhold', scope });
    expect(await actions.confirm()).toBe(false);
    expect(actions.problem).toBe('This connection is read-only.');
    expect(actions.asked).not.toBeNull();
    expect(actions.busy).toBe(false);
  });

  it('forget what was typed when something else is asked', () => {
    actions.ask({ do: 'hold', mode: 'pause', scope });
    actions.reason = 'a';
    actions.cancel();
    actions.ask({ do: 'hold', mode: 'drain', scope });
    expect(actions.reason).toBe('');
  });
});

describe('why nothing may be changed', () => {
  it('is said of a read-only connection, and before the first word of the engine', () => {
    const connection = { name: 'prod', safety: 'read-only' as const };
    expect(whyNoChange(engineView(), connection)).toContain('prod is connected read-only');
    expect(whyNoChange(engineView(), { ...connection, safety: 'confirm' })).toBeNull();
    expect(whyNoChange(null, { ...connection, safety: 'confirm' })).not.toBeNull();
  });
});
