// The store that a URL or a connection names. Only the driver that is needed is loaded.
import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import { databaseTypeOf, parseDatabaseUrl } from '../../../contract/database-url.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import type { DatabaseSettings } from '../../../contract/settings.ts';
import type { StoreAccess } from './store-access.ts';
import type { Store } from './store.ts';

/** Where a store is. */
export type StoreAddress =
  | { type: 'sqlite'; file: string }
  | {
      type: 'postgres' | 'mysql';
      database: Omit<DatabaseSettings, 'password'>;
      /** Null when the account has none. */
      password: string | null;
    };

const EXPECTED = 'write sqlite:FILE, postgres://USER@HOST/DATABASE or mysql://USER@HOST/DATABASE';

/**
 * The address in `sqlite:FILE`, `postgres://…`, `mysql://…` or `mariadb://…`. `password` wins over one in the URL. Throws
 * `bad-request`, which names what is wrong and never repeats the URL: it may hold a password.
 */
export function storeAddress(url: string, password: string | null = null): StoreAddress {
  const text = url.trim();
  if (/^sqlite:/i.test(text)) {
    const file = text.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '');
    if (file === '') throw refused(`the file is missing; ${EXPECTED}`);
    if (file.startsWith('//'))
      throw refused('two slashes follow sqlite:, write sqlite:FILE or sqlite:///FILE');
    return { type: 'sqlite', file };
  }
  const type = databaseTypeOf(text);
  if (type === null) {
    const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(text)?.[0];
    throw refused(
      scheme === undefined ? `it is no URL; ${EXPECTED}` : `it begins with ${scheme}; ${EXPECTED}`,
    );
  }
  const parsed = parseDatabaseUrl(text, type);
  if (!parsed.ok) throw refused(parsed.error);
  const { password: written, tls = { mode: 'disabled' }, ...database } = parsed.url;
  return { type, database: { ...database, tls }, password: password ?? written };
}

/** Opens the store that an engine works on. Rejects with HeadwayError: `bad-request` for the URL, else as the store does. */
export const openStore = async (url: string, password: string | null = null): Promise<Store> =>
  openStoreAt(storeAddress(url, password), 'work');

/** `connections`: of a pool, at most; the store's own choice when left out. */
export async function openStoreAt(
  address: StoreAddress,
  access: StoreAccess,
  connections?: number,
): Promise<Store> {
  if (address.type === 'sqlite') {
    const { SqliteStore } = await import('./sqlite-store.ts');
    if (access === 'work') return SqliteStore.open({ file: address.file });
    const looking = SqliteStore.openReadOnly(address.file);
    if (access === 'look') return looking;
    // It is there, and it is a store.
    await looking[Symbol.asyncDispose]();
    return SqliteStore.open({ file: address.file });
  }
  const { tls, ...database } = address.database;
  const options = { ...database, access, ...(connections !== undefined && { connections }) };
  if (address.type === 'mysql') {
    const { MysqlStore } = await import('./mysql-store.ts');
    return MysqlStore.open({ ...options, password: address.password, tls });
  }
  const { PostgresStore } = await import('./postgres-store.ts');
  return PostgresStore.open({
    ...options,
    ...(address.password !== null && { password: address.password }),
    tls: await tlsOptions(address.database),
  });
}

/** Node's TLS options for a mode; false for plain text. */
async function tlsOptions({ host, port, tls }: StoreAddressDatabase): Promise<ConnectionOptions | false> {
  if (tls.mode === 'disabled') return false;
  const read = async (name: 'ca' | 'cert' | 'key', path: string | undefined) => {
    if (path === undefined) return {};
    try {
      return { [name]: await readFile(path, 'utf8') };
    } catch (cause) {
      throw new HeadwayError(
        'file-missing',
        `The TLS file ${path} for ${host}:${port} cannot be read. Check its path and permissions.`,
        { cause },
      );
    }
  };
  return {
    ...(await read('ca', tls.caFile)),
    ...(await read('cert', tls.certFile)),
    ...(await read('key', tls.keyFile)),
    rejectUnauthorized: tls.mode !== 'required',
    // The authority is checked, the name in the certificate is not.
    ...(tls.mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  };
}
type StoreAddressDatabase = Omit<DatabaseSettings, 'password'>;

const refused = (why: string): HeadwayError =>
  new HeadwayError('bad-request', `The store cannot be opened: ${why}.`);
