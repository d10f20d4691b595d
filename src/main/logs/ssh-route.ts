// The way to a log host: the hosts to log in to one after the other, as the settings and ~/.ssh/config say.
import { homedir, userInfo } from 'node:os';
import { HeadwayError } from '../../contract/errors.ts';
import type { LogHostSettings } from '../../contract/settings.ts';
import { portOf, resolveAlias } from './ssh-alias.ts';

/** One server to log in to. */
export interface SshStation {
  host: string;
  port: number;
  user: string;
  /** Private keys that the config names, absolute. */
  identityFiles: string[];
  /** Whether the agent may offer no other keys than those of `identityFiles`. */
  identitiesOnly: boolean;
}

export interface SshRoute {
  /** What stands between, first hop first; each is reached through the one before. */
  hops: SshStation[];
  target: SshStation;
}

/** More hops than anyone has; a chain that is longer is a mistake. */
const MAX_HOPS = 8;

/** `user@host:port`, as it stands in states and errors. */
export function stationName({ user, host, port }: Pick<SshStation, 'user' | 'host' | 'port'>): string {
  return `${user}@${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * What the settings leave at its default (no user, port 22) comes from the config. As in OpenSSH the first hop of a
 * chain may have hops of its own, and those of the later ones are overruled by the chain.
 * @throws HeadwayError `bad-request` for a ProxyCommand, a circle, or a hop that cannot be read.
 */
export function sshRoute(
  settings: Pick<LogHostSettings, 'host' | 'port' | 'user'>,
  configText: string,
  home: string = homedir(),
): SshRoute {
  const read = (host: string, port: number | null, user: string | null) => {
    const alias = resolveAlias(configText, host, home);
    const station: SshStation = {
      host: alias.hostName,
      port: port ?? alias.port ?? 22,
      user: user ?? alias.user ?? userInfo().username,
      identityFiles: alias.identityFiles,
      identitiesOnly: alias.identitiesOnly,
    };
    return { alias, station };
  };
  const { alias, station: target } = read(
    settings.host,
    settings.port === 22 ? null : settings.port,
    settings.user === '' ? null : settings.user,
  );
  const refuse = (why: string) =>
    new HeadwayError('bad-request', `The SSH config sends ${stationName(target)} ${why}`);
  const hops: SshStation[] = [];
  const seen = new Set([stationName(target)]);
  let next = { jumps: alias.jumps, proxyCommand: alias.proxyCommand };
  for (;;) {
    if (next.proxyCommand !== null) {
      throw refuse(
        `through the program "${next.proxyCommand}" (ProxyCommand), which Headway does not run. Say it with ` +
          `ProxyJump, or open a tunnel and name its end.`,
      );
    }
    const found = next.jumps.map((written) => {
      const hop = parseHop(written);
      if (hop === null) throw refuse(`through "${written}", which is no user@host:port.`);
      return read(hop.host, hop.port, hop.user);
    });
    for (const { station } of found) {
      const name = stationName(station);
      if (seen.has(name)) {
        throw refuse(`through ${name} in a circle. Give that hop "ProxyJump none".`);
      }
      seen.add(name);
    }
    hops.unshift(...found.map(({ station }) => station));
    if (hops.length > MAX_HOPS) throw refuse(`through more than ${MAX_HOPS} hops.`);
    const first = found[0];
    if (first === undefined) return { hops, target };
    next = first.alias;
  }
}

/** `host`, `user@host:port`, `[::1]:22` or `ssh://user@host:port`; null when it is none of them. */
export function parseHop(written: string): { host: string; port: number | null; user: string | null } | null {
  const match = /^(?:ssh:\/\/)?(?:(.+)@)?(?:\[([^\]]+)\]|([^:[\]@/]+))(?::(\d+))?\/?$/.exec(written);
  if (match === null) return null;
  const [, user, bracketed, plain, digits] = match;
  const port = portOf(digits);
  if (digits !== undefined && port === null) return null;
  return { host: bracketed ?? plain ?? '', port, user: user ?? null };
}
