// A connection as the form holds it: text in fields. Pure: from settings to fields and back, and what is wrong.
import { connectionSettingsSchema, databaseOf } from '../../../contract/settings.ts';
import type {
  ConnectionSettings,
  DatabaseSettings,
  EngineStoreSettings,
  Environment,
  LogHostSettings,
  LogInput,
  RuleOverride,
  Safety,
} from '../../../contract/settings.ts';
import { noSecret, SecretVault } from './connection-secrets.ts';
import type { SecretFields } from './connection-secrets.ts';
import { wordsFor } from './form-words.ts';
import type { Problems } from './form-words.ts';

export type TlsMode = DatabaseSettings['tls']['mode'];
export type StoreType = EngineStoreSettings['type'];

export interface InputFields {
  key: number;
  kind: LogInput['kind'];
  /** A path, a container or a unit, by the kind. */
  name: string;
}
export interface LogHostFields {
  key: number;
  host: string;
  port: string;
  user: string;
  login: 'agent' | 'key' | 'password';
  keyFile: string;
  passphrase: SecretFields;
  password: SecretFields;
  inputs: InputFields[];
}
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

let lastKey = 0;
export const newInput = (): InputFields => ({ key: ++lastKey, kind: 'file', name: '' });
export const newLogHost = (): LogHostFields => ({
  key: ++lastKey,
  host: '',
  port: '22',
  user: '',
  login: 'agent',
  keyFile: '',
  passphrase: noSecret(),
  password: noSecret(),
  inputs: [newInput()],
});

export function emptyFields(): ConnectionFields {
  return {
    kind: 'postal',
    storeType: 'postgres',
    file: '',
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
    ...databaseFields(databaseOf(settings)),
    name: settings.name,
    id: settings.id,
    environment: settings.environment,
    safety: settings.safety,
    pollSeconds: String(settings.pollSeconds),
    windowSeconds: String(settings.windowSeconds),
    canaryTenants: settings.canaryTenants.join(', '),
    logHosts: settings.logHosts.map(hostFields),
    lag: {
      warning: limitText(alerts.lag?.warning),
      critical: limitText(alerts.lag?.critical),
      forSeconds: limitText(alerts.lag?.forSeconds),
      keepFiringForSeconds: limitText(alerts.lag?.keepFiringForSeconds),
    },
  };
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

function hostFields({ host, port, user, auth, inputs }: LogHostSettings): LogHostFields {
  return {
    ...newLogHost(),
    host,
    port: String(port),
    user,
    login: auth.kind,
    keyFile: auth.kind === 'key' ? auth.file : '',
    passphrase: { kept: auth.kind === 'key' ? (auth.passphrase ?? null) : null, value: '' },
    password: { kept: auth.kind === 'password' ? auth.password : null, value: '' },
    inputs: inputs.map((input) => ({
      key: ++lastKey,
      kind: input.kind,
      name: input.kind === 'file' ? input.path : input.kind === 'docker' ? input.container : input.unit,
    })),
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
  const password = isFile ? null : vault.keep(fields.password, 'database.password');
  const { tls, storeType } = fields;
  const database = {
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
  const system =
    fields.kind === 'postal'
      ? { kind: 'postal', database }
      : {
          kind: 'engine',
          store:
            storeType === 'sqlite'
              ? { type: 'sqlite', file: fields.file.trim() }
              : { type: storeType, database },
        };
  const draft = {
    ...base,
    id,
    name: fields.name.trim(),
    ...system,
    environment: fields.environment,
    safety: fields.safety,
    pollSeconds: numberOf(fields.pollSeconds),
    windowSeconds: numberOf(fields.windowSeconds),
    canaryTenants: fields.canaryTenants
      .split(/[,\n]/)
      .map((tenant) => tenant.trim())
      .filter((tenant) => tenant !== ''),
    logHosts: fields.logHosts.map((host) => logHostOf(host, vault)),
    alerts: alertsOf(fields.lag, base?.alerts ?? {}),
  };
  const parsed = connectionSettingsSchema.safeParse(draft);
  const problems: Record<string, string> = {};
  for (const issue of parsed.error?.issues ?? []) problems[issue.path.join('.')] ??= wordsFor(issue);
  if (takenIds.includes(id)) problems['id'] = 'Another connection has this id';
  const connection = parsed.success && Object.keys(problems).length === 0 ? parsed.data : null;
  return { connection, secrets: vault.secrets, problems };
}

function logHostOf(fields: LogHostFields, vault: SecretVault): unknown {
  const auth = (): unknown => {
    switch (fields.login) {
      case 'agent':
        return { kind: 'agent' };
      case 'key': {
        const passphrase = vault.keep(fields.passphrase, `log.${fields.host.trim()}.passphrase`);
        return { kind: 'key', file: fields.keyFile.trim(), ...(passphrase !== null && { passphrase }) };
      }
      case 'password':
        return {
          kind: 'password',
          password: vault.keep(fields.password, `log.${fields.host.trim()}.password`) ?? undefined,
        };
    }
  };
  return {
    host: fields.host.trim(),
    port: numberOf(fields.port),
    user: fields.user.trim(),
    auth: auth(),
    inputs: fields.inputs.map(({ kind, name: text }) => {
      const name = text.trim();
      return kind === 'file'
        ? { kind, path: name }
        : kind === 'docker'
          ? { kind, container: name }
          : { kind, unit: name };
    }),
  };
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

/** NaN for what is no number, for the schema to refuse. */
const numberOf = (text: string): number => (text.trim() === '' ? NaN : Number(text.trim().replace(',', '.')));

const limitText = (value: RuleOverride['warning']): string =>
  value === undefined ? '' : value === null ? 'off' : String(value);

const filled = (texts: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(texts)
      .map(([name, text]) => [name, text.trim()] as const)
      .filter(([, text]) => text !== ''),
  );
