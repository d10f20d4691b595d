// What ~/.ssh/config says about a host, so that the names an engineer types in a shell work here too.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import SshConfig from 'ssh-config';
import { z } from 'zod';

export interface SshAlias {
  /** Where to connect; the name itself when the config does not rename it. */
  hostName: string;
  port: number | null;
  user: string | null;
  /** Private keys named for the host, absolute. */
  identityFiles: string[];
  /** Whether the agent may offer no other keys than those of `identityFiles`. */
  identitiesOnly: boolean;
  /** The hops on the way as the config writes them, first hop first; empty for none. */
  jumps: string[];
  /** A program the config wants in place of a connection; null when there is none. */
  proxyCommand: string | null;
}

const words = z.union([z.string(), z.array(z.string())]).optional();
const aliasSchema = z.object({
  hostname: words,
  port: words,
  user: words,
  identityfile: words,
  identitiesonly: words,
  proxyjump: words,
  proxycommand: words,
});

/** Looks `host` up in the text of a config. `Match exec` is never run: reading a file must not start programs. */
export function resolveAlias(configText: string, host: string, home: string = homedir()): SshAlias {
  const computed = SshConfig.parse(configText).compute(host, { ignoreCase: true, matchExec: false });
  const alias = aliasSchema.parse(computed);
  // Of the two ways through a hop, the one that stands first in the file counts, as in OpenSSH.
  const proxy = Object.keys(computed).find((key) => key === 'proxyjump' || key === 'proxycommand');
  const jump = [alias.proxyjump ?? []].flat().join(',');
  const command = [alias.proxycommand ?? []].flat().join(' ');
  return {
    hostName: (first(alias.hostname) ?? host).replaceAll('%h', host),
    port: portOf(first(alias.port)),
    user: first(alias.user) ?? null,
    identityFiles: [alias.identityfile ?? []].flat().map((file) => expandHome(file, home)),
    identitiesOnly: /^(yes|true)$/i.test(first(alias.identitiesonly) ?? ''),
    jumps:
      proxy === 'proxyjump' && jump.toLowerCase() !== 'none'
        ? jump.split(/[\s,]+/).filter((hop) => hop !== '')
        : [],
    proxyCommand: proxy === 'proxycommand' && command.toLowerCase() !== 'none' ? command : null,
  };
}

/** The text of a config; empty when it is missing or cannot be read, for it is a convenience. */
export async function readSshConfig(configFile: string): Promise<string> {
  try {
    return await readFile(configFile, 'utf8');
  } catch {
    return '';
  }
}

/** `~` and `%d` at the front stand for the home folder. */
export function expandHome(file: string, home: string = homedir()): string {
  return file.replace(/^(~|%d)(?=\/|$)/, home);
}

export const DEFAULT_SSH_CONFIG: string = join(homedir(), '.ssh', 'config');

/** The number of a TCP port; null for anything else. */
export function portOf(text: string | undefined): number | null {
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
