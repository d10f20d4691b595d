// The ways to prove who we are to an SSH server, in the order in which they are tried.
import { readFile } from 'node:fs/promises';
import type { AnyAuthMethod } from 'ssh2';
import { HeadwayError } from '../../contract/errors.ts';
import type { SecretRef } from '../../contract/secret-ref.ts';
import type { LogHostSettings } from '../../contract/settings.ts';
import { ChosenKeys, publicKeys } from './chosen-keys.ts';
import { LockedKey, parseKey } from './locked-key.ts';
import { expandHome } from './ssh-alias.ts';
import type { SshStation } from './ssh-route.ts';

export interface LoginDeps {
  /** Finds a secret; rejects with HeadwayError `secret-missing`. */
  secret: (ref: SecretRef) => Promise<string>;
  /** SSH_AUTH_SOCK of the environment. */
  agentSocket: string | undefined;
}

/** One thing to try, with the words that tell a person what was tried. */
export interface LoginAttempt {
  title: string;
  method: AnyAuthMethod;
  /** To be disposed of when the login is over. */
  lockedKey?: LockedKey;
}

/**
 * The ways the settings name. `auth` is the settings' own word, `station` what the SSH config says of the host.
 * @throws HeadwayError when a key file or a secret cannot be read, before the server is asked anything.
 */
export async function loginAttempts(
  station: SshStation,
  auth: LogHostSettings['auth'],
  deps: LoginDeps,
): Promise<LoginAttempt[]> {
  const { user: username } = station;
  switch (auth.kind) {
    case 'key': {
      const passphrase = auth.passphrase === undefined ? undefined : await deps.secret(auth.passphrase);
      return [await withKey(username, expandHome(auth.file), passphrase)];
    }
    case 'password': {
      const password = await deps.secret(auth.password);
      return [
        { title: 'password', method: { type: 'password', username, password } },
        {
          // Servers that ask by PAM only know this one; every question gets the password.
          title: 'keyboard-interactive',
          method: {
            type: 'keyboard-interactive',
            username,
            prompt: (_name, _instructions, _language, prompts, answer) => answer(prompts.map(() => password)),
          },
        },
      ];
    }
    case 'agent': {
      const attempts = await configuredAttempts(station, deps);
      if (attempts.length === 0) throw nothingToOffer();
      return attempts;
    }
    case 'local':
      throw new HeadwayError('bad-request', 'This computer is read without SSH; there is no login to it.');
  }
}

/**
 * The ways into a hop: the agent and the keys that the config names for it, and last the key of the settings, which
 * is often the same. A password is the target's alone and is shown to no hop.
 */
export async function hopAttempts(
  station: SshStation,
  auth: LogHostSettings['auth'],
  deps: LoginDeps,
): Promise<LoginAttempt[]> {
  const attempts = await configuredAttempts(station, deps);
  const isNamed = auth.kind === 'key' && station.identityFiles.includes(expandHome(auth.file));
  if (auth.kind === 'key' && !isNamed) attempts.push(...(await loginAttempts(station, auth, deps)));
  if (attempts.length === 0) throw nothingToOffer();
  return attempts;
}

/** The agent, and the keys that the SSH config names. */
async function configuredAttempts(station: SshStation, deps: LoginDeps): Promise<LoginAttempt[]> {
  const { user: username, identityFiles, identitiesOnly } = station;
  const attempts: LoginAttempt[] = [];
  if (deps.agentSocket !== undefined && deps.agentSocket !== '') {
    const agent = identitiesOnly
      ? new ChosenKeys(deps.agentSocket, await publicKeys(identityFiles))
      : deps.agentSocket;
    attempts.push({ title: 'agent', method: { type: 'agent', username, agent } });
  }
  for (const file of identityFiles) {
    // A key that is missing or locked is the agent's to offer.
    const attempt = await withKey(username, file, undefined).catch(() => null);
    if (attempt !== null) attempts.push(attempt);
  }
  return attempts;
}

function nothingToOffer(): HeadwayError {
  return new HeadwayError(
    'authentication-failed',
    `No SSH agent is running (SSH_AUTH_SOCK is not set). Start one and add a key, or name a key file.`,
  );
}

/** Offers the key of a file; a key that is locked with a passphrase is unlocked in a thread of its own. */
async function withKey(
  username: string,
  file: string,
  passphrase: string | undefined,
): Promise<LoginAttempt> {
  const title = `key ${file}`;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HeadwayError('file-missing', `Cannot read the key file ${file}: ${why}`, { cause });
  }
  const key = parseKey(text);
  if (!(key instanceof Error)) {
    if (!key.isPrivateKey()) {
      throw new HeadwayError('authentication-failed', `${file} is a public key; name the private one.`);
    }
    return { title, method: { type: 'publickey', username, key } };
  }
  if (!/no passphrase given/i.test(key.message)) {
    throw new HeadwayError('authentication-failed', `Cannot use the key file ${file}: ${key.message}`);
  }
  if (passphrase === undefined) {
    throw new HeadwayError(
      'secret-missing',
      `The key ${file} is locked with a passphrase. Give the passphrase, or use the agent.`,
    );
  }
  const lockedKey = await LockedKey.unlock(text, passphrase);
  if (!(lockedKey instanceof Error)) {
    return { title, method: { type: 'agent', username, agent: lockedKey }, lockedKey };
  }
  const wrong = /bad passphrase|bad decrypt|integrity check failed/i.test(lockedKey.message);
  const message = wrong
    ? `The passphrase does not open the key ${file}.`
    : `Cannot unlock the key file ${file}: ${lockedKey.message}`;
  throw new HeadwayError('authentication-failed', message);
}
