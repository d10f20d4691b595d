// A host whose logs are read, as the form holds it: text in fields.
import type { LogHostSettings, LogInput } from '../../../contract/settings.ts';
import { noSecret } from './connection-secrets.ts';
import type { SecretFields, SecretVault } from './connection-secrets.ts';
import { numberOf } from './form-text.ts';

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
      key: ++lastKey,
      kind: input.kind,
      name: input.kind === 'file' ? input.path : input.kind === 'docker' ? input.container : input.unit,
    })),
  };
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
