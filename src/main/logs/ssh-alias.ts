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
  /** Private keys named for the host, absolute. */
  identityFiles: string[];
  /** The hop the config asks for, which Headway cannot take yet; null when there is none. */
  proxy: string | null;
}

const words = z.union([z.string(), z.array(z.string())]).optional();
const aliasSchema = z.object({
  hostname: words,
  port: words,
  identityfile: words,
  proxyjump: words,
  proxycommand: words,
});

/** Looks `host` up in the text of a config. `Match exec` is never run: reading a file must not start programs. */
export function resolveAlias(configText: string, host: string, home: string = homedir()): SshAlias {
  const computed = SshConfig.parse(configText).compute(host, { ignoreCase: true, matchExec: false });
  const alias = aliasSchema.parse(computed);
  const port = Number(first(alias.port));
  const proxy = first(alias.proxyjump) ?? first(alias.proxycommand) ?? null;
  return {
    hostName: (first(alias.hostname) ?? host).replaceAll('%h', host),
    port: Number.isInteger(port) && port > 0 && port < 65_536 ? port : null,
    identityFiles: [alias.identityfile ?? []].flat().map((file) => expandHome(file, home)),
    proxy: proxy === 'none' ? null : proxy,
  };
}

/** Like `resolveAlias` for a file; a missing or unreadable file says nothing about any host. */
export async function readAlias(configFile: string, host: string): Promise<SshAlias> {
  try {
    return resolveAlias(await readFile(configFile, 'utf8'), host);
  } catch {
    // The config is a convenience: without it the settings stand as they are.
    return { hostName: host, port: null, identityFiles: [], proxy: null };
  }
}

/** `~` and `%d` at the front stand for the home folder. */
export function expandHome(file: string, home: string = homedir()): string {
  return file.replace(/^(~|%d)(?=\/|$)/, home);
}

export const DEFAULT_SSH_CONFIG: string = join(homedir(), '.ssh', 'config');

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
