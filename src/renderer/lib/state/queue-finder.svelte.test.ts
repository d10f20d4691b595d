import { describe, expect, it } from 'vitest';
import type { DetectedQueue, Detection, MappingProposal } from '../../../contract/detection.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import { jobsMappingSchema } from '../../../contract/settings.ts';
import { emptyFields, type ConnectionFields } from './connection-form.ts';
import { QueueFinder } from './queue-finder.svelte.ts';
import { TestBackend } from './test-backend.ts';

const found = (own: Partial<DetectedQueue>): DetectedQueue => ({
  ...{ system: 'pg-boss', name: 'pg-boss', schema: 'pgboss', table: null, version: null, problems: [] },
  ...own,
});
const table = found({ system: 'jobs-table', name: 'Jobs table', schema: 'app', table: 'work' });
const detection: Detection = { server: 'PostgreSQL 16', queues: [found({}), table], notes: [] };
const proposal: MappingProposal = {
  mapping: jobsMappingSchema.parse({
    ...{ table: 'app.work', id: 'id', tenant: 'owner', state: 'state', createdAt: 'created_at' },
    states: { ready: ['new'] },
  }),
  reasons: { tenant: 'named owner', 'states.ready': "new is the column's default" },
  columns: [],
  stateValues: ['new'],
  doubts: ['Which one?'],
};

function stage(own: Partial<ConnectionFields> = {}) {
  const backend = new TestBackend();
  const answers: Record<string, unknown> = { 'queue.detect': detection, 'queue.proposeMapping': proposal };
  backend.answer = (method) => answers[method];
  const fields = $state({
    ...emptyFields(),
    ...{ kind: 'queue' as const, host: 'db', port: '6432', user: 'me', database: 'shop' },
    ...own,
  });
  return { backend, fields, finder: new QueueFinder(backend, () => fields), answers };
}

describe('QueueFinder', () => {
  it('asks with what stands in the fields, the typed password among it', async () => {
    const { backend, fields, finder } = stage({ database: '' });
    expect(finder.ready).toBe(false);
    await finder.detect();
    expect(backend.calls).toEqual([]);
    fields.database = 'shop';
    fields.password.value = 's3cret';
    await finder.detect();
    expect(backend.calls).toMatchObject([
      {
        method: 'queue.detect',
        input: {
          database: {
            type: 'postgres',
            host: 'db',
            port: 6432,
            password: { stored: 'draft.database.password' },
          },
          secrets: { 'draft.database.password': 's3cret' },
        },
      },
    ]);
    expect(finder.detection.answer).toEqual(detection);
  });

  it('lets go of what was found once the fields name another database', async () => {
    const { fields, finder } = stage();
    await finder.detect();
    expect(finder.isOfThisDatabase).toBe(true);
    fields.host = 'other';
    expect(finder.isOfThisDatabase).toBe(false);
  });

  it.each([
    [found({}), { kind: 'queue', queue: { system: 'pg-boss', schema: '' } }],
    [found({ schema: 'Boss 2' }), { kind: 'queue', queue: { system: 'pg-boss', schema: 'Boss 2' } }],
    [found({ system: 'engine', schema: 'headway_engine' }), { kind: 'engine', storeType: 'postgres' }],
    [table, { kind: 'queue', queue: { system: 'jobs-table', mapping: { table: 'app.work' } } }],
  ])('turns the form to what was chosen, and leaves its database alone: %#', async (queue, expected) => {
    const { fields, finder } = stage({ database: 'postal' });
    await finder.detect();
    await finder.use(queue);
    expect(fields).toMatchObject({ ...expected, host: 'db', port: '6432', database: 'postal' });
    expect(finder.isUsed(queue)).toBe(true);
    // The list stays for a second thought.
    expect(finder.isOfThisDatabase).toBe(true);
  });

  it('keeps the kind of a connection that is made', () => {
    const { finder } = stage();
    expect(finder.mayUse(found({ system: 'engine' }), false)).toBe(false);
    expect(finder.mayUse(found({ system: 'engine' }), true)).toBe(true);
    expect(finder.mayUse(table, false)).toBe(true);
  });

  it('says why a column was proposed until it is changed, and doubts until the table is', async () => {
    const { fields, finder } = stage();
    await finder.use(table);
    expect(fields.queue.mapping).toMatchObject({ tenant: 'owner', states: { ready: 'new' } });
    expect([finder.reason('tenant'), finder.reason('states.ready')]).toEqual([
      'named owner',
      "new is the column's default",
    ]);
    fields.queue.mapping.tenant = 'account';
    fields.queue.mapping.states.ready = 'new, retry';
    expect([finder.reason('tenant'), finder.reason('states.ready')]).toEqual([undefined, undefined]);
    expect(finder.doubts).toEqual(['Which one?']);
    fields.queue.mapping.table = 'app.other';
    expect(finder.doubts).toEqual([]);
  });

  it('keeps the mapping where none can be proposed', async () => {
    const { backend, fields, finder } = stage();
    fields.queue.mapping.table = 'jobz';
    fields.queue.mapping.tenant = 'mine';
    backend.answer = () => {
      throw new HeadwayError('schema-mismatch', 'There is no table jobz.');
    };
    await finder.propose();
    expect(finder.proposal).toMatchObject({
      answer: null,
      error: { code: 'schema-mismatch' },
      about: 'jobz',
    });
    expect(fields.queue.mapping.tenant).toBe('mine');
  });

  it('takes the answer to the newest question alone', async () => {
    const { backend, fields, finder } = stage();
    const first = finder.detect();
    fields.database = 'other';
    backend.answer = () => ({ ...detection, server: 'the newest' });
    await Promise.all([first, finder.detect()]);
    expect(finder.detection).toMatchObject({ asking: false, answer: { server: 'the newest' } });
    expect(finder.isOfThisDatabase).toBe(true);
  });
});
