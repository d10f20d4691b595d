// What a known_hosts file of OpenSSH says about the key a server shows (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
import { createHash, createHmac } from 'node:crypto';

/** One line that names a key; `@cert-authority` lines and lines that cannot be read are left out. */
export interface KnownHost {
  /** Comma-separated patterns, or one hashed name. */
  names: string;
  keyType: string;
  /** The key in base64, as the file has it. */
  key: string;
  revoked: boolean;
  /** `file:line`, so that a person can find the line. */
  place: string;
}

export type Verdict =
  | { is: 'known' }
  | { is: 'unknown' }
  /** Other keys are on file for this host, and this is none of them. */
  | { is: 'changed'; place: string }
  | { is: 'revoked'; place: string };

export function parseKnownHosts(text: string, file: string): KnownHost[] {
  const hosts: KnownHost[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const fields = line.trim().split(/\s+/);
    const marker = fields[0]?.startsWith('@') === true ? fields.shift() : undefined;
    const [names, keyType, key] = fields;
    if (names === undefined || names.startsWith('#') || keyType === undefined || key === undefined) continue;
    if (marker !== undefined && marker !== '@revoked') continue;
    hosts.push({ names, keyType, key, revoked: marker === '@revoked', place: `${file}:${index + 1}` });
  }
  return hosts;
}

/** The name a key is filed under: `host`, or `[host]:port` off the standard port. */
export function knownHostName(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

/**
 * What the lines say of `key` (the blob in base64). As in OpenSSH a revoked line wins, any equal key on file is
 * good, and a key filed for the host without its port is accepted but never held against it.
 */
export function judgeHostKey(lines: KnownHost[], host: string, port: number, key: string): Verdict {
  const name = knownHostName(host, port);
  const named = lines.filter((line) => namesHost(line.names, name));
  const revoked = lines.find(
    (line) =>
      line.revoked && line.key === key && (namesHost(line.names, name) || namesHost(line.names, host)),
  );
  if (revoked !== undefined) return { is: 'revoked', place: revoked.place };
  const valid = named.filter((line) => !line.revoked);
  if (valid.some((line) => line.key === key)) return { is: 'known' };
  const other = valid[0];
  if (other !== undefined) {
    const keyType = keyTypeOf(key);
    return { is: 'changed', place: (valid.find((line) => line.keyType === keyType) ?? other).place };
  }
  const withoutPort = lines.some(
    (line) => !line.revoked && line.key === key && namesHost(line.names, host.toLowerCase()),
  );
  return withoutPort ? { is: 'known' } : { is: 'unknown' };
}

/** Types of the keys on file for a host, so that the server is asked for one that can be checked. */
export function knownKeyTypes(lines: KnownHost[], host: string, port: number): string[] {
  const name = knownHostName(host, port);
  const types = lines.filter((line) => !line.revoked && namesHost(line.names, name)).map((l) => l.keyType);
  return [...new Set(types)];
}

/** The fingerprint as `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The type a key blob names in its first field (RFC 4253, 6.6); empty when there is none. */
export function keyTypeOf(keyBase64: string): string {
  const blob = Buffer.from(keyBase64, 'base64');
  if (blob.length < 4) return '';
  return blob.toString('latin1', 4, 4 + Math.min(blob.readUInt32BE(0), 64));
}

function namesHost(names: string, name: string): boolean {
  if (names.startsWith('|1|')) {
    const [, , salt, mac] = names.split('|');
    const expected = createHmac('sha1', Buffer.from(salt ?? '', 'base64'))
      .update(name)
      .digest('base64');
    return mac === expected;
  }
  let matched = false;
  for (const pattern of names.toLowerCase().split(',')) {
    // One negated match rules the whole line out, whatever else matches.
    if (pattern.startsWith('!')) {
      if (matches(pattern.slice(1), name)) return false;
    } else if (matches(pattern, name)) {
      matched = true;
    }
  }
  return matched;
}

function matches(pattern: string, name: string): boolean {
  if (!/[*?]/.test(pattern)) return pattern === name;
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`).test(name);
}
