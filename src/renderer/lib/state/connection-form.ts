// A connection as the form holds it: text in fields. Pure: from settings to fields and back, and what is wrong.
import type { DatabaseType } from '../../../contract/database-url.ts';
import { connectionSettingsSchema, databaseOf } from '../../../contract/settings.ts';
import type {
  ConnectionSettings,
  DatabaseSettings,
  EngineStoreSettings,
  Environment,
  RuleOverride,
  Safety,
} from '../../../contract/settings.ts';
import { noSecret, SecretVault } from './connection-secrets.ts';
import type { SecretFields } from './connection-secrets.ts';
import { filled, listOf, numberOf } from './form-text.ts';
import { wordsFor } from './form-words.ts';
import type { Problems } from './form-words.ts';
import { logHostFieldsOf, readLogHost } from './log-host-form.ts';
import type { LogHostFields } from './log-host-form.ts';
import { emptyQueue, queueDatabase, queueFieldsOf, readQueue } from './queue-form.ts';
import type { QueueFields } from './queue-form.ts';

export type TlsMode = DatabaseSettings['tls']['mode'];
export type StoreType = EngineStoreSettings['type'];

/** Thresholds of lag in seconds; empty means as shipped, `off` means none. */
export interface LagFields {
  warning: string;
  critical: string;
  forSeconds: string;
  keepFiringForSeconds: string;
}
export interface ConnectionFields {
  /** It stays what it is once the connection is made. */
  kind: ConnectionSettings['kind'];
  /** Of an engine: where its jobs are kept, and the file where that is one. */
  storeType: StoreType;
  file: string;
  queue: QueueFields;
  name: string;
  id: string;
  host: string;
  port: string;
  user: string;
  password: SecretFields;
  database: string;
  tls: { mode: TlsMode; caFile: string; certFile: string; keyFile: string };
  environment: Environment;
  safety: Safety;
  pollSeconds: string;
  windowSeconds: string;
  canaryTenants: string;
  logHosts: LogHostFields[];
  lag: LagFields;
}
export interface FormResult {
  /** null while there are problems. */
  connection: ConnectionSettings | null;
  /** New secrets by their `stored` key. */
  secrets: Record<string, string>;
  problems: Problems;
}

export function emptyFields(): ConnectionFields {
  return {
    kind: 'postal',
    storeType: 'postgres',
    file: '',
    queue: emptyQueue(),
    name: '',
    id: '',
    host: '',
    port: '3306',
    user: '',
    password: noSecret(),
    database: 'postal',
    tls: { mode: 'disabled', caFile: '', certFile: '', keyFile: '' },
    environment: 'production',
    safety: 'read-only',
    pollSeconds: '2',
    windowSeconds: '60',
    canaryTenants: '',
    logHosts: [],
    lag: { warning: '', critical: '', forSeconds: '', keepFiringForSeconds: '' },
  };
}

export function fieldsOf(settings: ConnectionSettings): ConnectionFields {
  const { alerts } = settings;
  const store = settings.kind === 'engine' ? settings.store : null;
  return {
    ...emptyFields(),
    kind: settings.kind,
    ...(store !== null && { storeType: store.type, file: store.type === 'sqlite' ? store.file : '' }),
    ...(settings.kind === 'queue' && { queue: queueFieldsOf(settings) }),
    ...databaseFields(databaseOf(settings)),
    name: settings.name,
    id: settings.id,
    environment: settings.environment,
    safety: settings.safety,
    pollSeconds: String(settings.pollSeconds),
    windowSeconds: String(settings.windowSeconds),
    canaryTenants: settings.canaryTenants.join(', '),
    logHosts: settings.logHosts.map(logHostFieldsOf),
    lag: {
      warning: limitText(alerts.lag?.warning),
      critical: limitText(alerts.lag?.critical),
      forSeconds: limitText(alerts.lag?.forSeconds),
      keepFiringForSeconds: limitText(alerts.lag?.keepFiringForSeconds),
    },
  };
}

/** The system of the database that the fields name. */
export function databaseTypeIn({ kind, storeType, queue }: ConnectionFields): DatabaseType {
  if (kind === 'queue') return queueDatabase(queue);
  return kind === 'engine' && storeType === 'postgres' ? 'postgres' : 'mysql';
}

function databaseFields(database: DatabaseSettings | null): Partial<ConnectionFields> {
  if (database === null) return {};
  const { tls } = database;
  return {
    host: database.host,
    port: String(database.port),
    user: database.user,
    password: { kept: database.password ?? null, value: '' },
    database: database.database,
    tls: {
      mode: tls.mode,
      caFile: tls.caFile ?? '',
      certFile: tls.certFile ?? '',
      keyFile: tls.keyFile ?? '',
    },
  };
}

/** An id of a name: `Postal (EU)` becomes `postal-eu`. */
export function idOf(name: string): string {
  return name
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '');
}

/**
 * The settings that the fields stand for. `base` are the settings before: what the form does not show is kept.
 * `takenIds` are ids of other connections.
 */
export function readFields(
  fields: ConnectionFields,
  base: ConnectionSettings | null,
  takenIds: readonly string[] = [],
): FormResult {
  const id = fields.id.trim();
  const vault = new SecretVault(id, [
    fields.password,
    ...fields.logHosts.flatMap((host) => [host.passphrase, host.password]),
  ]);
  const isFile = fields.kind === 'engine' && fields.storeType === 'sqlite';
  const database = isFile ? {} : readDatabase(fields, vault);
  // Which of the two a queue has depends on its system.
  const { schema: _schema, mapping: _mapping, ...kept } = { schema: null, mapping: null, ...base };
  const draft = {
    ...kept,
    id,
    name: fields.name.trim(),
    ...systemOf(fields, database, base),
    environment: fields.environment,
    safety: fields.safety,
    pollSeconds: numberOf(fields.pollSeconds),
    windowSeconds: numberOf(fields.windowSeconds),
    canaryTenants: listOf(fields.canaryTenants),
    logHosts: fields.logHosts.map((host) => readLogHost(host, vault)),
    alerts: alertsOf(fields.lag, base?.alerts ?? {}),
  };
  const parsed = connectionSettingsSchema.safeParse(draft);
  const problems: Record<string, string> = {};
  for (const issue of parsed.error?.issues ?? []) problems[issue.path.join('.')] ??= wordsFor(issue);
  if (takenIds.includes(id)) problems['id'] = 'Another connection has this id';
  const connection = parsed.success && Object.keys(problems).length === 0 ? parsed.data : null;
  return { connection, secrets: vault.secrets, problems };
}

/** The settings of the database that the fields stand for, unchecked. A new password gets a key of the vault. */
export function readDatabase(fields: ConnectionFields, vault: SecretVault): object {
  const password = vault.keep(fields.password, 'database.password');
  const { tls } = fields;
  return {
    host: fields.host.trim(),
    port: numberOf(fields.port),
    user: fields.user.trim(),
    database: fields.database.trim(),
    ...(password !== null && { password }),
    tls: {
      mode: tls.mode,
      ...(tls.mode === 'disabled'
        ? {}
        : filled({ caFile: tls.caFile, certFile: tls.certFile, keyFile: tls.keyFile })),
    },
  };
}

/** What is the kind's own. */
function systemOf(fields: ConnectionFields, database: object, base: ConnectionSettings | null): object {
  switch (fields.kind) {
    case 'postal':
      return { kind: 'postal', database };
    case 'engine':
      return {
        kind: 'engine',
        store:
          fields.storeType === 'sqlite'
            ? { type: 'sqlite', file: fields.file.trim() }
            : { type: fields.storeType, database },
      };
    case 'queue':
      return readQueue(fields.queue, database, base?.kind === 'queue' ? base : null);
  }
}

/** Changes to the lag rule alone; an empty change leaves no trace. */
function alertsOf(lag: LagFields, before: ConnectionSettings['alerts']): unknown {
  const { warning: _w, critical: _c, forSeconds: _f, keepFiringForSeconds: _k, ...rest } = before.lag ?? {};
  const change: Record<string, unknown> = { ...rest };
  for (const [name, text] of Object.entries(lag) as [keyof LagFields, string][]) {
    const value = text.trim().toLowerCase();
    if (value === '') continue;
    change[name] = value === 'off' ? null : numberOf(value);
  }
  const { lag: _lag, ...others } = before;
  return Object.keys(change).length === 0 ? others : { ...others, lag: change };
}

const limitText = (value: RuleOverride['warning']): string =>
  value === undefined ? '' : value === null ? 'off' : String(value);
