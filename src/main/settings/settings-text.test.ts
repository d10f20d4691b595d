import { describe, expect, it } from 'vitest';
import { HeadwayError } from '../../contract/errors.ts';
import { parseSettings } from './settings-text.ts';

const whole = `// who watches what
{
  "version": 1,
  "connections": [
    {
      "id": "mail", "name": "Mail", "kind": "postal", /* the old cluster */
      "database": { "url": "mysql://headway@db:3307/postal?ssl-mode=REQUIRED", "password": { "env": "PW" } },
    },
  ],
}
`;
const refused = (text: string): HeadwayError => {
  try {
    parseSettings(text, 'settings.json');
  } catch (error) {
    if (error instanceof HeadwayError) return error;
    throw error;
  }
  throw new Error('accepted');
};
const withDatabase = (database: string) =>
  `{ "version": 1, "connections": [\n  { "id": "a", "name": "A", "kind": "postal", "database": ${database} } ] }`;

describe('parseSettings', () => {
  it('reads comments, trailing commas and a URL, and fills in the defaults', () => {
    const settings = parseSettings(whole, 'settings.json');
    expect(settings.connections[0]).toMatchObject({
      id: 'mail',
      database: { host: 'db', port: 3307, user: 'headway', database: 'postal', password: { env: 'PW' } },
      environment: 'production',
      safety: 'read-only',
    });
    expect(settings.connections[0]).toMatchObject({ database: { tls: { mode: 'required' } } });
    expect(settings.connections[0]).not.toHaveProperty('database.url');
  });

  it("reads the URL of a queue's database by its type", () => {
    const queue = (type: string) =>
      `{ "version": 1, "connections": [{ "id": "a", "name": "A", "kind": "queue", "system": "pg-boss",
        "database": { "type": "${type}", "url": "postgres://u@db/jobs" } }] }`;
    expect(parseSettings(queue('postgres'), 'f').connections[0]).toMatchObject({
      database: { type: 'postgres', host: 'db', port: 5432, user: 'u', database: 'jobs' },
    });
    expect(refused(queue('mysql')).message).toContain('the URL begins with postgres://');
  });

  it("reads an engine's store by its type, also as a URL of that type", () => {
    const withStore = (text: string) =>
      `{ "version": 1, "connections": [{ "id": "a", "name": "A", "kind": "engine", "store": ${text} }] }`;
    const store = (text: string) => parseSettings(withStore(text), 'f').connections[0];
    expect(store('{ "type": "sqlite", "file": "/srv/jobs.db" }')).toMatchObject({
      kind: 'engine',
      store: { type: 'sqlite', file: '/srv/jobs.db' },
    });
    expect(store('{ "type": "postgres", "database": { "url": "postgres://u@db/jobs" } }')).toMatchObject({
      store: { type: 'postgres', database: { host: 'db', port: 5432, user: 'u', database: 'jobs' } },
    });
    const fields = '{ "host": "db", "user": "u", "database": "jobs" }';
    expect(store(`{ "type": "mysql", "database": ${fields} }`)).toMatchObject({
      store: { database: { port: 3306 } },
    });
    expect(store(`{ "type": "postgres", "database": ${fields} }`)).toMatchObject({
      store: { database: { port: 5432 } },
    });
    const { message } = refused(
      withStore('{ "type": "mysql", "database": { "url": "postgres://u@db/jobs" } }'),
    );
    expect(message).toContain('connections[0].store.database.url: the URL begins with postgres://');
    expect(message).not.toContain('connections[0].store.database.host');
  });

  it('reads a file that begins with a byte order mark', () => {
    expect(parseSettings('\uFEFF{ "version": 1 }', 'f').version).toBe(1);
  });

  it('names file, line, column, path and what is expected', () => {
    const error = refused(withDatabase('{\n    "host": "h", "port": "x", "user": "u", "database": "d" }'));
    expect(error.code).toBe('settings-invalid');
    expect(error.message).toBe(
      'settings.json:3:18 connections[0].database.port: expected number, received string',
    );
    expect(error.details).toEqual({
      file: 'settings.json',
      at: '3:18',
      path: 'connections[0].database.port',
    });
  });

  it('places a syntax error', () => {
    expect(refused('{\n  "version": 1\n  "connections": [] }').message).toBe(
      'settings.json:3:3 comma expected',
    );
    expect(refused('').message).toContain('settings.json:1:1 ');
  });

  it('lists every problem, ten at most, in the order of the text', () => {
    const three = refused(
      '{ "version": 1, "prot": 3,\n "connections": [ 7 ], "history": {} , "history": {} }',
    );
    expect(three.message.split('\n').map((line) => line.slice(0, 45))).toEqual([
      'settings.json has 3 problems:',
      'settings.json:1:17 prot: unknown key; check i',
      'settings.json:2:19 connections[0]: expected o',
      'settings.json:2:40 history: is written twice;',
    ]);
    const many = refused(`{ "version": 1, "connections": [${Array(25).fill('7').join(',')}] }`);
    expect(many.message.split('\n')).toHaveLength(12);
    expect(many.message).toContain('and 15 more');
  });

  it('refuses a plain password once, saying what to write, and does not repeat it', () => {
    const error = refused(
      withDatabase('{ "host": "h", "user": "u", "database": "d", "password": "s3cret" }'),
    );
    expect(error.message).toMatch(/connections\[0\]\.database\.password: .*\{ "env": "NAME" \}/);
    expect(error.message.split('\n')).toHaveLength(1);
    expect(error.message).not.toContain('s3cret');
  });

  it('refuses a URL with a password and a field that stands beside its URL', () => {
    const withPassword = refused(withDatabase('{ "url": "mysql://u:s3cret@h/d" }'));
    expect(withPassword.message).toMatch(/database\.url: the URL holds a password.*\{ "env": "NAME" \}/);
    expect(withPassword.message.split('\n')).toHaveLength(1);
    expect(withPassword.message).not.toContain('s3cret');
    expect(refused(withDatabase('{ "url": "mysql://u@h/d", "port": 3 }')).message).toContain(
      'port stands in the URL and beside it',
    );
  });

  it('names two connections with one id', () => {
    const connection = '{ "id": "a", "name": "A", "kind": "postal", "database": { "url": "mysql://u@h/d" } }';
    expect(refused(`{ "version": 1, "connections": [${connection}, ${connection}] }`).message).toContain(
      'connections: two connections have the same id',
    );
  });
});
