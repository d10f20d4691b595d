import type { IncomingMessage } from 'node:http';
import type { WebAccess } from './web-access.ts';
import { hostHeaders } from './web-addresses.ts';

export interface Refusal {
  status: number;
  text: string;
}

interface GateOptions {
  address: string;
  port: number;
  scheme: 'http' | 'https';
  names: readonly string[];
  access: WebAccess;
}

/** Decides from a request's headers whether it comes from a page of ours, and from a browser that signed in. */
export class WebGate {
  readonly #options: GateOptions;
  readonly #hosts: Set<string>;
  /** Carries the port: cookies are shared by all ports of a host, and two Headways must not disturb each other. */
  readonly #cookieName: string;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#hosts = hostHeaders(options.address, options.port, options.scheme === 'https', options.names);
    this.#cookieName = `headway-${options.port}`;
  }

  /** Why a request is turned away whoever sends it; `checkOrigin` for those that do more than read. */
  refusal(request: IncomingMessage, checkOrigin: boolean): Refusal | null {
    const host = request.headers.host?.toLowerCase();
    if (host === undefined || !this.#hosts.has(host)) {
      const text = 'Headway is not served under this name. Open it under the address that it printed.';
      return { status: 421, text };
    }
    const origin = `${this.#options.scheme}://${host}`;
    if (checkOrigin && request.headers.origin?.toLowerCase() !== origin) {
      return { status: 403, text: 'This request does not come from a page of Headway.' };
    }
    return null;
  }

  hasSession(request: IncomingMessage): boolean {
    const prefix = `${this.#cookieName}=`;
    return (request.headers.cookie ?? '')
      .split(/; */)
      .some((pair) => pair.startsWith(prefix) && this.#options.access.isSession(pair.slice(prefix.length)));
  }

  /** The Set-Cookie header of a new session. */
  cookie(session: string): string {
    const seconds = 30 * 24 * 3600;
    const secure = this.#options.scheme === 'https' ? '; Secure' : '';
    return `${this.#cookieName}=${session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure}`;
  }
}
