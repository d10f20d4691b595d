import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether nobody but this computer can reach the address. */
export function isLoopback(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return address === 'localhost';
  return loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

/** An address or name as it stands in a URL: IPv6 in brackets. */
export const urlHost = (address: string) => (isIP(address) === 6 ? `[${address}]` : address);

/**
 * The Host headers the web face answers to. Any other is a page elsewhere that had its name resolved to this
 * computer (DNS rebinding), or a wrong proxy.
 */
export function hostHeaders(
  address: string,
  port: number,
  secure: boolean,
  names: readonly string[],
): Set<string> {
  const hosts = new Set([urlHost(address), ...names]);
  if (isLoopback(address)) for (const host of ['127.0.0.1', 'localhost', '[::1]']) hosts.add(host);
  const withPort = [...hosts].map((host) => `${host.toLowerCase()}:${port}`);
  // A browser leaves the default port out.
  return new Set(
    port === (secure ? 443 : 80) ? [...withPort, ...[...hosts].map((h) => h.toLowerCase())] : withPort,
  );
}
