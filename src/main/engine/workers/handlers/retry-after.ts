// When the other side says to come again: Retry-After, and the resets of rate limits and quotas.
import type { IncomingHttpHeaders } from 'node:http';

/** Values over these are moments, not spans: epoch ms, epoch s. */
const EPOCH_MS_FROM = 1e12;
const EPOCH_S_FROM = 1e9;

/**
 * Ms from now until the other side wants to be asked again; null when it does not say. Read are Retry-After (RFC 9110:
 * seconds or a date), RateLimit with `t=` and RateLimit-Reset (seconds; IETF drafts), X-RateLimit-Reset (seconds, epoch
 * seconds or epoch ms, as services differ). Moments count from its own Date header, so that a clock that goes wrong on
 * either side does no harm; from `nowMs` without one.
 */
export function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number | null {
  const theirs = Date.parse(headers.date ?? '');
  const fromMs = Number.isNaN(theirs) ? nowMs : theirs;
  const retryAfter = headers['retry-after'];
  if (retryAfter !== undefined) {
    const found = /^\s*\d+\s*$/.test(retryAfter)
      ? Number(retryAfter) * 1000
      : Date.parse(retryAfter) - fromMs;
    if (!Number.isNaN(found)) return Math.max(0, found);
  }
  const reset =
    /\bt=(\d+)/.exec(text(headers['ratelimit']))?.[1] ??
    /^\s*(\d+(?:\.\d+)?)/.exec(text(headers['ratelimit-reset'] ?? headers['x-ratelimit-reset']))?.[1];
  if (reset === undefined) return null;
  const value = Number(reset);
  if (value >= EPOCH_MS_FROM) return Math.max(0, value - fromMs);
  return value >= EPOCH_S_FROM ? Math.max(0, value * 1000 - fromMs) : value * 1000;
}

/** Whether the headers of a limit say that nothing of it is left. Some services send them with every answer. */
export function allowanceUsedUp(headers: IncomingHttpHeaders): boolean {
  const left =
    /\br=(\d+)/.exec(text(headers['ratelimit']))?.[1] ??
    text(headers['ratelimit-remaining'] ?? headers['x-ratelimit-remaining']).trim();
  if (left !== '') return Number(left) === 0;
  return ['ratelimit', 'ratelimit-reset', 'x-ratelimit-reset'].some((name) => headers[name] !== undefined);
}

const text = (value: string | string[] | undefined): string =>
  Array.isArray(value) ? value.join(',') : (value ?? '');
