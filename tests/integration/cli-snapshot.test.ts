// `headway snapshot` as an engineer runs it, against a real Postal database.
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { countSchema } from '../../src/core/count.ts';
import { wireErrorSchema } from '../../src/contract/errors.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import { createPostal, createReader, fillQueue, type Postal, type Reader } from '../harness/postal-schema.ts';
import { tempDir, type TempDir } from '../harness/temp.ts';
import { connectionTo, headway, secrets } from './cli-fixture.ts';
import { bruteForce, nothing } from './postal-source-fixture.ts';

const stack = new AsyncDisposableStack();
const env = { HEADWAY_TEST_PASSWORD: secrets.right, HEADWAY_WRONG_PASSWORD: secrets.wrong };
let dir: TempDir;
let db: MariaDb;
let postal: Postal;
let reader: Reader;

beforeAll(async () => {
  dir = stack.use(await tempDir('cli'));
  db = stack.use(await startMariaDb());
  const servers = [1, 2, 3].map((id) => ({ id, name: id === 3 ? 'mailflow' : `customer-${id}` }));
  postal = await createPostal(db, { servers });
  reader = await createReader(postal, 'headway', secrets.right);
  await fillQueue(postal, { rows: 90, servers: [2, 3], oldestAgeMs: 400_000, delayedShare: 0.3 });
});
afterAll(() => stack.disposeAsync());

const answerSchema = z.object({
  connections: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      system: z.string().nullable(),
      takenAt: z.string().nullable(),
      clockOffsetMs: z.number().nullable(),
      error: wireErrorSchema.nullable(),
      warnings: z.array(z.string()),
      tenants: z.array(
        z.object({
          id: z.string(),
          name: z.string(),
          lagMs: z.number().nullable(),
          ready: countSchema,
          delayed: countSchema,
          running: countSchema,
          stale: countSchema,
        }),
      ),
    }),
  ),
});

async function settingsFile(name: string, settings: unknown): Promise<string> {
  const path = join(dir.path, name);
  await writeFile(path, typeof settings === 'string' ? settings : JSON.stringify(settings, null, 2));
  return path;
}
const snapshot = (config: string, ...more: string[]) =>
  headway(['snapshot', '--config', config, '--data', dir.path, ...more], { env });

/** Compares the answer of one connection with every row of the queue, at the moment it names. */
async function expectTruth(answer: z.infer<typeof answerSchema>['connections'][number] | undefined) {
  if (answer?.takenAt == null || answer.clockOffsetMs === null) throw new Error(JSON.stringify(answer));
  const databaseMs = Date.parse(answer.takenAt) + answer.clockOffsetMs;
  const root = await db.connect();
  const truths = await bruteForce(root, databaseMs).finally(() => root.end());
  expect(answer.tenants.map(({ id }) => id).toSorted()).toEqual(['1', '2', '3']);
  for (const tenant of answer.tenants) {
    const truth = truths.get(tenant.id) ?? nothing();
    const { ready, delayed, running, stale } = tenant;
    expect({ ready, delayed, running, stale }).toEqual({
      ready: { value: truth.ready, kind: 'exact' },
      delayed: { value: truth.delayed, kind: 'exact' },
      running: { value: truth.running, kind: 'exact' },
      stale: { value: truth.stale, kind: 'exact' },
    });
    const lagMs = truth.oldestReadyAtMs === null ? 0 : databaseMs - truth.oldestReadyAtMs;
    // Both clock readings are rounded to a millisecond.
    expect(Math.abs((tenant.lagMs ?? -1) - lagMs)).toBeLessThanOrEqual(2);
  }
}

describe('headway snapshot', () => {
  it('prints the numbers of one connection and the error of another, and exits with 1', async () => {
    const wrong = { password: { env: 'HEADWAY_WRONG_PASSWORD' } };
    const config = await settingsFile('two.json', {
      version: 1,
      connections: [
        connectionTo(db, reader, { id: 'locked-out', name: 'Locked out', database: wrong }),
        connectionTo(db, reader),
      ],
    });
    const { code, stdout, stderr } = await snapshot(config, '--json');
    expect(stderr).toBe('');
    const { connections } = answerSchema.parse(JSON.parse(stdout));
    expect(connections.map(({ id }) => id)).toEqual(['locked-out', 'mail']);
    expect(connections[0]).toMatchObject({ tenants: [], error: { code: 'authentication-failed' } });
    expect(connections[0]?.error?.message).toContain(`refuses user ${reader.user}`);
    expect(connections[1]).toMatchObject({
      error: null,
      system: expect.stringMatching(/^Postal on MariaDB/) as string,
    });
    await expectTruth(connections[1]);
    expect(connections[1]?.tenants[0]?.lagMs).toBeGreaterThanOrEqual(390_000);
    expect(code).toBe(1);
  });

  it('reads settings from standard input, and prints a table for people, the longest wait first', async () => {
    const settings = { version: 1, connections: [connectionTo(db, reader)] };
    const stdin = JSON.stringify(settings);
    const args = ['snapshot', '--config', '-', '--data', dir.path];
    const json = await headway([...args, '--json'], { env, stdin });
    expect(json.code).toBe(0);
    await expectTruth(answerSchema.parse(JSON.parse(json.stdout)).connections[0]);

    const { code, stdout } = await headway(args, { env, stdin });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Mail: Postal on MariaDB .*, as of 20/);
    expect(stdout).toMatch(/^ {2}SERVER +LAG +READY +RUN +DELAYED +STALE$/m);
    expect(stdout).toMatch(/^ {2}mailflow 3 +\dm \d\ds +\d+ +0 +\d+ +0$/m);
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^ {2}customer-1 1 +0 ms +0 +0 +0 +0$/);
  });

  it('takes a password from a file that only its owner can read, and refuses any other', async () => {
    const file = join(dir.path, 'password');
    await writeFile(file, `${secrets.right}\n`, { mode: 0o600 });
    const settings = {
      version: 1,
      connections: [connectionTo(db, reader, { database: { password: { file } } })],
    };
    const config = await settingsFile('from-file.json', settings);
    expect((await snapshot(config)).code).toBe(0);
    await chmod(file, 0o644);
    const { code, stdout } = await snapshot(config);
    expect(code).toBe(1);
    expect(stdout).toContain(`chmod 600 '${file}'`);
  });

  it('names the environment variable that is not set, and the database that is not there', async () => {
    const config = await settingsFile('missing.json', {
      version: 1,
      connections: [
        connectionTo(db, reader, { id: 'unset', database: { password: { env: 'HEADWAY_UNSET' } } }),
        // MariaDB says that a database is not there only to those who may know.
        connectionTo(db, reader, { id: 'lost', database: { database: 'postal-server-404' } }),
        connectionTo(db, reader, { id: 'hidden', database: { database: 'no_such_database' } }),
        connectionTo(db, reader, { id: 'closed', database: { port: 1 } }),
      ],
    });
    const { code, stdout } = await snapshot(config, '--json');
    const { connections } = answerSchema.parse(JSON.parse(stdout));
    expect(connections.map(({ error }) => error?.code)).toEqual([
      'secret-missing',
      'database-unknown',
      'grant-missing',
      'unreachable',
    ]);
    expect(connections[0]?.error?.message).toContain('HEADWAY_UNSET');
    expect(connections[1]?.error?.message).toContain('postal-server-404');
    expect(connections[2]?.error?.message).toContain('no_such_database');
    expect(connections[3]?.error?.message).toContain('127.0.0.1:1');
    expect(code).toBe(1);
  });
});

describe.concurrent('headway snapshot and settings that cannot be used', () => {
  it('says where a malformed file goes wrong and exits with 2', async () => {
    const config = await settingsFile(
      'malformed.json',
      '{\n  "version": 1,\n  "connections": [ { "id" "a" } ]\n}\n',
    );
    const { code, stdout, stderr } = await snapshot(config, '--json');
    expect(stderr).toMatch(/^headway: .*malformed\.json/);
    expect(stderr).toMatch(/malformed\.json:3:27 colon expected/);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  it('says what is wrong in a file that is well formed', async () => {
    const config = await settingsFile('invalid.json', {
      version: 1,
      connections: [connectionTo(db, reader, { pollSeconds: 'often', colour: 'red' })],
    });
    const { code, stderr } = await snapshot(config);
    expect(stderr).toContain('invalid.json has 2 problems:');
    expect(stderr).toMatch(/invalid\.json:\d+:\d+ connections\[0\]\.pollSeconds: expected number/);
    expect(stderr).toMatch(/invalid\.json:\d+:\d+ connections\[0\]\.colour: unknown key/);
    expect(code).toBe(2);
  });

  it('refuses a password in the settings, as a field or in a URL, without repeating it', async () => {
    const config = await settingsFile('plain.json', {
      version: 1,
      connections: [
        connectionTo(db, reader, { database: { password: secrets.right } }),
        {
          id: 'url',
          name: 'By URL',
          kind: 'postal',
          database: { url: `mysql://headway:${secrets.inUrl}@db.example/postal` },
        },
      ],
    });
    const { code, stderr } = await snapshot(config);
    expect(stderr).toContain('a secret must not stand in this file');
    expect(stderr).toContain('the URL holds a password');
    expect(code).toBe(2);
  });

  it('names a settings file that is not there, and one that is not a file', async () => {
    const missing = join(dir.path, 'no-such-settings.json');
    expect(await snapshot(missing)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`There is no settings file ${missing}`) as string,
    });
    expect(await snapshot(dir.path)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`The settings file ${dir.path} cannot be read`) as string,
    });
  });

  it('says what standard input lacks, and what an option lacks', async () => {
    const empty = await headway(['snapshot', '--config', '-'], { stdin: '' });
    expect(empty).toMatchObject({ code: 2, stderr: expect.stringMatching(/standard input:1:1/) as string });
    const unknown = await headway(['snapshot', '--colour']);
    expect(unknown).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("unknown option '--colour'") as string,
    });
    const port = await headway(['serve', '--port', 'many']);
    expect(port).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a port is a whole number') as string,
    });
  });

  it('is content with no settings at all', async () => {
    const empty = join(dir.path, 'nothing-here');
    const text = await headway(['snapshot', '--data', empty]);
    expect(text).toMatchObject({ code: 0, stdout: 'No connection is configured.\n' });
    const json = await headway(['snapshot', '--data', empty, '--json']);
    expect(JSON.parse(json.stdout)).toEqual({ connections: [] });
  });
});
