import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { HeadwayError } from '../../../contract/errors.ts';
import { openStore, openStoreAt, storeAddress } from './open-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'headway-open-store-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('storeAddress', () => {
  it.each([
    ['sqlite:jobs.db', { type: 'sqlite', file: 'jobs.db' }],
    ['sqlite:/srv/jobs.db', { type: 'sqlite', file: '/srv/jobs.db' }],
    ['sqlite:///srv/jobs.db', { type: 'sqlite', file: '/srv/jobs.db' }],
    [
      'mariadb://jobs:s3cret@db/jobs',
      {
        type: 'mysql',
        database: { host: 'db', port: 3306, user: 'jobs', database: 'jobs', tls: { mode: 'disabled' } },
        password: 's3cret',
      },
    ],
    [
      'postgres://jobs@db:5433/jobs?sslmode=require',
      {
        type: 'postgres',
        database: { host: 'db', port: 5433, user: 'jobs', database: 'jobs', tls: { mode: 'required' } },
        password: null,
      },
    ],
  ])('reads %s', (url, address) => {
    expect(storeAddress(url)).toEqual(address);
  });

  it('prefers the password that it is given', () => {
    expect(storeAddress('mysql://u:old@db/jobs', 'new')).toMatchObject({ password: 'new' });
  });

  it.each([
    ['sqlite:', 'the file is missing'],
    ['sqlite://host/jobs.db', 'two slashes'],
    ['jobs.db', 'no URL'],
    ['redis://:hunter2@db/0', 'begins with redis:'],
    ['postgres://u:hunter2@/jobs', 'not a URL'],
    ['postgres://u:hunter2@db', 'the database is missing'],
    ['mysql://u:hunter2@db/jobs?pool=5', 'the parameter pool'],
    ['mysql://u:hunter2#@db/jobs', 'percent-encoded'],
  ])('refuses %s, says why and repeats no secret', (url, why) => {
    const refusal = (): never => {
      storeAddress(url);
      throw new Error('accepted');
    };
    expect(refusal).toThrow(HeadwayError);
    expect(refusal).toThrow(why);
    expect(refusal).not.toThrow('hunter2');
  });
});

describe('openStore', () => {
  it('opens a file to work on it, to look at it, and to change it when nobody works on it', async () => {
    const file = join(folder, 'jobs.db');
    await expect(openStoreAt({ type: 'sqlite', file }, 'look')).rejects.toMatchObject({
      code: 'file-missing',
    });
    await expect(openStoreAt({ type: 'sqlite', file }, 'change')).rejects.toMatchObject({
      code: 'file-missing',
    });
    {
      await using store = await openStore(`sqlite:${file}`);
      await store.enqueue([{ tenantId: 'a', kind: 'mail', payload: 1 }], 1);
      await using looking = await openStoreAt({ type: 'sqlite', file }, 'look');
      expect((await looking.depths(1)).tenants).toHaveLength(1);
      await expect(openStoreAt({ type: 'sqlite', file }, 'change')).rejects.toMatchObject({
        code: 'conflict',
      });
    }
    await using changing = await openStoreAt({ type: 'sqlite', file }, 'change');
    expect((await changing.depths(1)).tenants).toHaveLength(1);
  });

  it('refuses a file that is no store', async () => {
    const file = join(folder, 'notes.txt');
    writeFileSync(file, 'not a database, but long enough to be looked at as one');
    await expect(openStore(`sqlite:${file}`)).rejects.toBeInstanceOf(HeadwayError);
  });
});
