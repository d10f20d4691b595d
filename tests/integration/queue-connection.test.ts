// A queue as a connection, from the settings file to the snapshot and the connection test that an engineer sees.
import { PgBoss } from 'pg-boss';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countSchema } from '../../src/core/count.ts';
import type { TestStep } from '../../src/contract/connection-test.ts';
import { wireErrorSchema } from '../../src/contract/errors.ts';
import { connectionSettingsSchema, type QueueConnection } from '../../src/contract/settings.ts';
import { testQueue } from '../../src/main/sources/queues/connection-steps.ts';
import { openQueue } from '../../src/main/sources/queues/open-queue.ts';
import { startPostgres, type Postgres } from '../harness/postgres.ts';
import { headway } from './cli-fixture.ts';

const answerSchema = z.object({
  connections: z.array(
    z.object({
      system: z.string().nullable(),
      error: wireErrorSchema.nullable(),
      tenants: z.array(z.object({ id: z.string(), lagMs: z.number().nullable(), ready: countSchema })),
    }),
  ),
});

let db: Postgres;
beforeAll(async () => {
  db = await startPostgres();
  const boss = new PgBoss({
    host: db.host,
    port: db.port,
    user: db.user,
    password: db.password,
    database: 'postgres',
  });
  boss.on('error', (error) => expect.fail(error.message));
  await boss.start();
  await boss.createQueue('mail');
  for (let i = 0; i < 3; i++) await boss.send('mail', { i });
  await boss.stop({ graceful: false });
}, 30_000);
afterAll(() => db[Symbol.asyncDispose]());

const queue = (changes: object = {}) => ({
  id: 'jobs',
  name: 'Jobs',
  kind: 'queue',
  system: 'pg-boss',
  database: {
    type: 'postgres',
    host: db.host,
    port: db.port,
    user: db.user,
    database: 'postgres',
    password: { env: 'HEADWAY_TEST_PASSWORD' },
  },
  ...changes,
});

const stepsOf = async (changes: object = {}): Promise<TestStep[]> => {
  // The settings' own parser, so that defaults are in force.
  const { system, schema, mapping, database } = connectionSettingsSchema.parse(
    queue(changes),
  ) as QueueConnection;
  const { password: _, ...place } = database;
  const steps = new Map<string, TestStep>();
  const source = openQueue({
    connection: { system, schema, mapping, database: place },
    password: () => Promise.resolve(db.password),
    now: Date.now,
  });
  const report = (step: TestStep): void => void steps.set(step.id, step);
  await testQueue({ source, now: Date.now, report }, AbortSignal.timeout(20_000));
  return [...steps.values()];
};

describe('a queue connection', () => {
  it('is read by the snapshot command with the password from where the settings say', async () => {
    const { code, stdout } = await headway(['snapshot', '--json', '--config', '-'], {
      stdin: JSON.stringify({ version: 1, connections: [queue()] }),
      env: { HEADWAY_TEST_PASSWORD: db.password },
    });
    const [answer] = answerSchema.parse(JSON.parse(stdout)).connections;
    expect(answer?.error).toBeNull();
    expect(code).toBe(0);
    expect(answer?.system).toMatch(/^pg-boss .* on PostgreSQL \d+/);
    expect(answer?.tenants).toEqual([
      { id: 'mail', ready: { value: 3, kind: 'exact' }, lagMs: expect.any(Number) as number },
    ]);
  });

  it('is tested step by step', async () => {
    const steps = await stepsOf();
    expect(steps.map(({ id, state }) => [id, state])).toEqual([
      ['queue.connect', 'ok'],
      ['queue.tenants', 'ok'],
      ['queue.poll', 'ok'],
    ]);
    expect(steps[1]?.detail).toContain('mail');
    expect(steps[2]?.detail).toContain('3 jobs ready');
  });

  it('says what is missing where the database holds another system', async () => {
    const steps = await stepsOf({ system: 'graphile-worker' });
    expect(steps.map(({ state }) => state)).toEqual(['failed', 'skipped', 'skipped']);
    expect(steps[0]?.error?.code).toBe('schema-mismatch');
  });

  it('is refused by the settings where it cannot be meant', () => {
    const refusals = (changes: object): string =>
      connectionSettingsSchema
        .safeParse(queue(changes))
        .error?.issues.map(({ message }) => message)
        .join() ?? '';
    expect(refusals({ system: 'jobs-table' })).toContain('needs a mapping');
    const database = { ...queue().database, type: 'mysql' };
    expect(refusals({ database })).toContain('runs on PostgreSQL');
    const mapping = {
      table: 'jobs',
      id: 'id',
      tenant: 'user_id',
      state: 'status',
      states: { ready: ['queued'], done: ['queued'] },
      createdAt: 'created_at',
    };
    expect(refusals({ system: 'jobs-table', mapping })).toContain('two meanings');
    const fine = { ...mapping, states: { ready: ['queued'] } };
    expect(refusals({ system: 'jobs-table', mapping: fine })).toBe('');
    expect(refusals({ system: 'jobs-table', mapping: fine, schema: 'app' })).toContain('names its schema');
  });
});
