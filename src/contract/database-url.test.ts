import { describe, expect, it } from 'vitest';
import { databaseTypeOf, parseDatabaseUrl } from './database-url.ts';

describe('parseDatabaseUrl', () => {
  it.each(['mysql', 'mariadb', 'mysql2'])('takes a %s URL apart', (scheme) => {
    expect(parseDatabaseUrl(`${scheme}://postal@db.example.org:3307/postal`)).toEqual({
      ok: true,
      url: { host: 'db.example.org', port: 3307, user: 'postal', database: 'postal', password: null },
    });
  });

  it('decodes each part, takes the default port and an IPv6 host', () => {
    expect(parseDatabaseUrl(' mysql://a%40b:p%23%2Fs%25@[fd00::7]/mail%20db ')).toEqual({
      ok: true,
      url: { host: 'fd00::7', port: 3306, user: 'a@b', database: 'mail db', password: 'p#/s%' },
    });
  });

  it.each([
    ['ssl-mode=REQUIRED', { mode: 'required' }],
    ['ssl-mode=verify_identity&ssl-ca=/ca.pem', { mode: 'verify-identity', caFile: '/ca.pem' }],
    ['ssl-ca=/ca.pem', { mode: 'verify-ca', caFile: '/ca.pem' }],
  ])('reads TLS from ?%s', (parameters, tls) => {
    expect(parseDatabaseUrl(`mysql://u@h/d?${parameters}`)).toMatchObject({ ok: true, url: { tls } });
  });

  it('reads a PostgreSQL URL in its own words when asked for one', () => {
    expect(
      parseDatabaseUrl('postgresql://jobs:pw@db/jobs?sslmode=verify-full&sslrootcert=/ca.pem', 'postgres'),
    ).toEqual({
      ok: true,
      url: {
        host: 'db',
        port: 5432,
        user: 'jobs',
        database: 'jobs',
        password: 'pw',
        tls: { mode: 'verify-identity', caFile: '/ca.pem' },
      },
    });
    expect(parseDatabaseUrl('mysql://u@h/d', 'postgres')).toMatchObject({
      error: expect.stringContaining('postgres:// or postgresql:// is expected') as string,
    });
    expect(parseDatabaseUrl('postgres://u@h/d?sslmode=prefer', 'postgres')).toMatchObject({
      error: expect.stringContaining('sslmode is not one of disable') as string,
    });
  });

  it('tells the system of a URL by its beginning', () => {
    expect(databaseTypeOf(' MariaDB://u@h/d')).toBe('mysql');
    expect(databaseTypeOf('postgres://u@h/d')).toBe('postgres');
    expect(databaseTypeOf('sqlite:jobs.db')).toBeNull();
  });

  it.each([
    ['postal', 'not a URL'],
    ['https://u@h/d', 'begins with https://'],
    ['mysql://h/d', 'user is missing'],
    ['mysql://u@/d', 'not a URL'],
    ['mysql:///d', 'host is missing'],
    ['mysql://u@h', 'database is missing'],
    ['mysql://u@h:0/d', 'port is 0'],
    ['mysql://u@h:99999/d', 'not a URL'],
    ['mysql://u@h/d?pool=5', 'parameter pool'],
    ['mysql://u@h/d?ssl-mode=PREFERRED', 'ssl-mode is not one of'],
    ['mysql://u:s3cr%t@h/d', 'hexadecimal digits'],
    ['mysql://u:s3cr#t@h/d', 'percent-encoded'],
    ['mysql://u:12#t@h/d', '# stands'],
    ['mysql://u:12/s3cr@h/d', 'more than a database name'],
  ])('says what is wrong with %s and repeats no secret', (text, expected) => {
    const parsed = parseDatabaseUrl(text);
    expect(parsed).toMatchObject({ ok: false, error: expect.stringMatching(expected) as string });
    expect(JSON.stringify(parsed)).not.toContain('s3cr');
  });
});
