// A host whose logs are read, as the form holds it: text in fields.
import type { LogHostSettings, LogInput } from '../../../contract/settings.ts';
import { noSecret } from './connection-secrets.ts';
import type { SecretFields, SecretVault } from './connection-secrets.ts';
import { numberOf } from './form-text.ts';

export interface InputFields {
  key: number;
  kind: LogInput['kind'];
  /** A path, a pattern, a container, a label, a unit, a pod or a selector, or a command line, by the kind. */
  name: string;
  /** For Kubernetes alone. */
  namespace: string;
  container: string;
}
export interface LogHostFields {
  key: number;
  host: string;
  port: string;
  user: string;
  login: 'agent' | 'key' | 'password' | 'local';
  keyFile: string;
  passphrase: SecretFields;
  password: SecretFields;
  inputs: InputFields[];
}

let lastKey = 0;
export const newInput = (): InputFields => ({
  key: ++lastKey,
  kind: 'file',
  name: '',
  namespace: '',
  container: '',
});
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

export function logHostFieldsOf({ host, port, user, auth, inputs }: LogHostSettings): LogHostFields {
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
      ...newInput(),
      kind: input.kind,
      name: nameOf(input),
      ...(input.kind === 'kubernetes' && {
        namespace: input.namespace ?? '',
        container: input.container ?? '',
      }),
    })),
  };
}

function nameOf(input: LogInput): string {
  switch (input.kind) {
    case 'file':
      return input.path;
    case 'files':
      return input.pattern;
    case 'docker':
      return input.container;
    case 'docker-label':
      return input.label;
    case 'journal':
      return input.unit;
    case 'kubernetes':
      return input.pod ?? input.selector ?? '';
    case 'command':
      return input.command.map(quoted).join(' ');
  }
}

function readInput({ kind, name: text, namespace, container }: InputFields): unknown {
  const name = text.trim();
  switch (kind) {
    case 'file':
      return { kind, path: name };
    case 'files':
      return { kind, pattern: name };
    case 'docker':
      return { kind, container: name };
    case 'docker-label':
      return { kind, label: name };
    case 'journal':
      return { kind, unit: name };
    case 'kubernetes':
      return {
        kind,
        // No pod's name holds any of what makes a selector.
        ...(/[=!,()\s]/.test(name) ? { selector: name } : { pod: name }),
        ...(namespace.trim() !== '' && { namespace: namespace.trim() }),
        ...(container.trim() !== '' && { container: container.trim() }),
      };
    case 'command':
      return { kind, command: words(name) };
  }
}

/** The arguments of a command line: blanks part them, and single or double quotes keep them together. */
function words(line: string): string[] {
  const found = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"]|['"])+/g) ?? [];
  return found.map((word) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, one?: string, two?: string) => one ?? two ?? ''),
  );
}

function quoted(word: string): string {
  if (/^[^\s'"]+$/.test(word)) return word;
  return word.includes("'") ? `"${word}"` : `'${word}'`;
}

/** The settings that the fields stand for, unchecked. New secrets go to the vault. */
export function readLogHost(fields: LogHostFields, vault: SecretVault): unknown {
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
      case 'local':
        return { kind: 'local' };
    }
  };
  const isLocal = fields.login === 'local';
  return {
    host: isLocal ? 'localhost' : fields.host.trim(),
    port: isLocal ? 22 : numberOf(fields.port),
    user: isLocal ? '' : fields.user.trim(),
    auth: auth(),
    inputs: fields.inputs.map(readInput),
  };
}
