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

const protocols = ['mysql:', 'mariadb:', 'mysql2:'];
const example = 'mysql://USER@HOST:3306/DATABASE';

/** The values of MySQL's `ssl-mode`. PREFERRED is left out: it falls back to plain text without a word. */
const modes = new Map<string, z.output<typeof tlsSchema>['mode']>([
  ['disabled', 'disabled'],
  ['required', 'required'],
  ['verify_ca', 'verify-ca'],
  ['verify_identity', 'verify-identity'],
]);
const fileParameters = new Map<string, 'caFile' | 'certFile' | 'keyFile'>([
  ['ssl-ca', 'caFile'],
  ['ssl-cert', 'certFile'],
  ['ssl-key', 'keyFile'],
]);

/**
 * Reads `mysql://user@host:3306/database?ssl-mode=VERIFY_CA&ssl-ca=/path` (also `mariadb://`, and Rails'
 * `mysql2://`). The port defaults to 3306. An error text never repeats the URL, for it may hold a password.
 */
export function parseDatabaseUrl(text: string): ParsedDatabaseUrl {
  const url = URL.parse(text.trim());
  if (url === null) {
    return failed(
      `not a URL; write ${example}, with special characters in user or password percent-encoded (# is %23, @ is %40, / is %2F)`,
    );
  }
  if (!protocols.includes(url.protocol)) {
    return failed(`the URL begins with ${url.protocol}// where mysql:// or mariadb:// is expected`);
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
  const port = url.port === '' ? 3306 : Number(url.port);
  if (port === 0) return failed('the port is 0; expected 1 to 65535');
  const tls = parseTls(url.searchParams);
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
function parseTls(parameters: URLSearchParams): z.output<typeof tlsSchema> | string | null {
  const tls: z.output<typeof tlsSchema> = { mode: 'required' };
  for (const [key, value] of parameters) {
    const file = fileParameters.get(key);
    if (key === 'ssl-mode') {
      const mode = modes.get(value.toLowerCase().replaceAll('-', '_'));
      if (mode === undefined) {
        return 'ssl-mode is not one of DISABLED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY';
      }
      tls.mode = mode;
    } else if (file === undefined) {
      return `the parameter ${key} is not understood; leave it out (known: ssl-mode, ssl-ca, ssl-cert, ssl-key)`;
    } else {
      tls[file] = value;
    }
  }
  if (parameters.size === 0) return null;
  // A CA without a mode is meant to be checked.
  if (tls.caFile !== undefined && !parameters.has('ssl-mode')) tls.mode = 'verify-ca';
  return tls;
}

const failed = (error: string): ParsedDatabaseUrl => ({ ok: false, error });
