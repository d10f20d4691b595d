// A URL pasted into a connection's form.
import { databaseTypeOf, parseDatabaseUrl } from '../../../contract/database-url.ts';
import { databaseTypeIn } from './connection-form.ts';
import type { ConnectionFields } from './connection-form.ts';

/** Stands for a password in a URL once it has been moved to its own field. */
export const MASK = '…';

/** Puts a pasted URL into the fields; its password goes to the password field. Returns what is wrong with it. */
export function applyUrl(fields: ConnectionFields, text: string): string | null {
  if (fields.kind === 'engine') {
    const file = /^sqlite:(?:\/\/)?(.+)$/i.exec(text.trim())?.[1];
    if (file !== undefined) {
      Object.assign(fields, { storeType: 'sqlite', file });
      return null;
    }
    const type = databaseTypeOf(text);
    if (type !== null) fields.storeType = type;
  }
  if (fields.kind === 'queue' && fields.queue.system === 'jobs-table')
    fields.queue.databaseType = databaseTypeOf(text) ?? fields.queue.databaseType;
  const parsed = parseDatabaseUrl(text, databaseTypeIn(fields));
  if (!parsed.ok) return parsed.error;
  const { host, port, user, database, password, tls } = parsed.url;
  fields.host = host;
  fields.port = String(port);
  fields.user = user;
  fields.database = database;
  if (password !== null && password !== MASK) fields.password.value = password;
  if (tls !== undefined)
    fields.tls = {
      mode: tls.mode,
      caFile: tls.caFile ?? '',
      certFile: tls.certFile ?? '',
      keyFile: tls.keyFile ?? '',
    };
  return null;
}
