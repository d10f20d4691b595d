import { isIP } from 'node:net';
import { HeadwayError } from '../../contract/errors.ts';

export interface ListenAddress {
  host: string;
  port: number;
}

/** Reads HOST:PORT; an IPv6 address stands in brackets, port 0 takes a free one. `bad-request` for anything else. */
export function listenAddress(text: string): ListenAddress {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6))
    throw new HeadwayError('bad-request', `--http ${text}: write HOST:PORT, as 127.0.0.1:7434 or [::1]:7434`);
  return { host, port };
}
