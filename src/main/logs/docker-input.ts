// Docker's containers, by name, and by label.
import { HeadwayError } from '../../contract/errors.ts';
import { exitCode } from './remote-script.ts';
import type { StampedCarrier } from './stamped-input.ts';
import { followDocker } from './tail-command.ts';

/** `2026-01-09T12:34:56.123456789Z text`. */
const STAMPED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) ?/;

/** `name`: as it is called in sentences, when `container` is an id. */
export function dockerCarrier(container: string, name: string = container): StampedCarrier {
  return {
    name,
    follow: (from) => followDocker(container, from),
    read: (raw) => {
      const match = STAMPED.exec(raw);
      return match === null ? null : { stamp: match[1] ?? '', text: raw.slice(match[0].length) };
    },
    error: (host, code, said) => dockerError(name, host, code, said),
  };
}

/** What Docker's refusals mean, and what to do. */
export function dockerError(
  container: string,
  host: string,
  code: number | null,
  said: string,
): HeadwayError {
  if (code === exitCode.commandNotFound) {
    return new HeadwayError(
      'command-failed',
      `docker is not installed on ${host}, or not in the PATH of a login without a terminal.`,
    );
  }
  if (/no such (container|object)/i.test(said)) {
    return new HeadwayError(
      'command-failed',
      `There is no container named ${container} on ${host}. "docker ps -a" there lists them.`,
    );
  }
  if (/permission denied/i.test(said)) {
    return new HeadwayError(
      'command-failed',
      `The user may not talk to Docker on ${host}. Add them to the group "docker", or log in as another user.`,
    );
  }
  return new HeadwayError('command-failed', `docker on ${host} failed with code ${code ?? 'none'}: ${said}`);
}
