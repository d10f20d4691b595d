// A database URL as engineers paste it, taken apart. Pure, so that the settings and the form agree on it.
import type { z } from 'zod';
import type { tlsSchema } from './settings.ts';

interface DatabaseUrl {
  host: string;
  port: number;
  user: string;
  database: string;
  /** The password as written, decoded. It belongs in a secret store and never in the settings. */
  password: string | null;
  /** Only when the URL says something about TLS. */
  tls?: z.output<typeof tlsSchema>;
}
export type ParsedDatabaseUrl = { ok: true; url: DatabaseUrl } | { ok: false; error: string };

type TlsMode = z.output<typeof tlsSchema>['mode'];

/** How one system writes its URLs. Modes that fall back to plain text without a word are left out. */
interface Dialect {
  protocols: string[];
  expected: string;
  example: string;
  port: number;
  modeParameter: string;
  modes: ReadonlyMap<string, TlsMode>;
  modeWords: string;
  files: ReadonlyMap<string, 'caFile' | 'certFile' | 'keyFile'>;
}

const dialects = {
  mysql: {
    protocols: ['mysql:', 'mariadb:', 'mysql2:'],
    expected: 'mysql:// or mariadb://',
    example: 'mysql://USER@HOST:3306/DATABASE',
    port: 3306,
    modeParameter: 'ssl-mode',
    modes: new Map([
      ['disabled', 'disabled'],
      ['required', 'required'],
      ['verify-ca', 'verify-ca'],
      ['verify-identity', 'verify-identity'],
    ]),
    modeWords: 'DISABLED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY',
    files: new Map([
      ['ssl-ca', 'caFile'],
      ['ssl-cert', 'certFile'],
      ['ssl-key', 'keyFile'],
    ]),
  },
  postgres: {
    protocols: ['postgres:', 'postgresql:'],
    expected: 'postgres:// or postgresql://',
    example: 'postgres://USER@HOST:5432/DATABASE',
    port: 5432,
    modeParameter: 'sslmode',
    modes: new Map([
      ['disable', 'disabled'],
      ['require', 'required'],
      ['verify-ca', 'verify-ca'],
      ['verify-full', 'verify-identity'],
    ]),
    modeWords: 'disable, require, verify-ca, verify-full',
    files: new Map([
      ['sslrootcert', 'caFile'],
      ['sslcert', 'certFile'],
      ['sslkey', 'keyFile'],
    ]),
  },
} as const satisfies Record<string, Dialect>;

/** The systems whose URLs are understood. */
export type DatabaseType = keyof typeof dialects;

/** The system that a URL names by its beginning; null for any other text. */
export function databaseTypeOf(text: string): DatabaseType | null {
  const protocol = /^[a-z0-9]+:/i.exec(text.trim())?.[0].toLowerCase() ?? '';
  for (const type of ['mysql', 'postgres'] as const)
    if ((dialects[type].protocols as readonly string[]).includes(protocol)) return type;
  return null;
}

/**
 * Reads `mysql://user@host:3306/database?ssl-mode=VERIFY_CA&ssl-ca=/path` (also `mariadb://`, and Rails'
 * `mysql2://`), or with `type` postgres `postgres://user@host:5432/database?sslmode=verify-ca&sslrootcert=/path`. The
 * port has its default. An error text never repeats the URL, for it may hold a password.
 */
export function parseDatabaseUrl(text: string, type: DatabaseType = 'mysql'): ParsedDatabaseUrl {
  const dialect: Dialect = dialects[type];
  const { protocols, example } = dialect;
  const url = URL.parse(text.trim());
  if (url === null) {
    return failed(
      `not a URL; write ${example}, with special characters in user or password percent-encoded (# is %23, @ is %40, / is %2F)`,
    );
  }
  if (!protocols.includes(url.protocol)) {
    return failed(`the URL begins with ${url.protocol}// where ${dialect.expected} is expected`);
  }
  if (url.hash !== '') return failed('a # stands in the URL; write it as %23');
  const name = url.pathname.replace(/^\//, '');
  if (/[/@]/.test(name)) {
    return failed(
      `more than a database name follows the host; write ${example}, with / in a password as %2F and @ as %40`,
    );
  }
  let host: string, user: string, password: string, database: string;
  try {
    host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
    user = decodeURIComponent(url.username);
    password = decodeURIComponent(url.password);
    database = decodeURIComponent(name);
  } catch {
    return failed('a % in the URL is not followed by two hexadecimal digits; write % itself as %25');
  }
  if (host === '') return failed(`the host is missing; write ${example}`);
  if (user === '') return failed(`the user is missing; write ${example}`);
  if (database === '') return failed(`the database is missing; write ${example}`);
  const port = url.port === '' ? dialect.port : Number(url.port);
  if (port === 0) return failed('the port is 0; expected 1 to 65535');
  const tls = parseTls(url.searchParams, dialect);
  if (typeof tls === 'string') return failed(tls);
  return {
    ok: true,
    url: {
      host,
      port,
      user,
      database,
      password: password === '' ? null : password,
      ...(tls !== null && { tls }),
    },
  };
}

/** The TLS options among a URL's parameters, null when there are none, or what is wrong with them. */
function parseTls(
  parameters: URLSearchParams,
  { modeParameter, modes, modeWords, files }: Dialect,
): z.output<typeof tlsSchema> | string | null {
  const tls: z.output<typeof tlsSchema> = { mode: 'required' };
  for (const [key, value] of parameters) {
    const file = files.get(key);
    if (key === modeParameter) {
      const mode = modes.get(value.toLowerCase().replaceAll('_', '-'));
      if (mode === undefined) return `${modeParameter} is not one of ${modeWords}`;
      tls.mode = mode;
    } else if (file === undefined) {
      return `the parameter ${key} is not understood; leave it out (known: ${[modeParameter, ...files.keys()].join(', ')})`;
    } else {
      tls[file] = value;
    }
  }
  if (parameters.size === 0) return null;
  // A CA without a mode is meant to be checked.
  if (tls.caFile !== undefined && !parameters.has(modeParameter)) tls.mode = 'verify-ca';
  return tls;
}

const failed = (error: string): ParsedDatabaseUrl => ({ ok: false, error });
