// What a file, a container and a unit of the journal have in common: where to go on, and how bytes become lines.
import type { LogHostSettings, LogInput } from '../../contract/settings.ts';
import type { ParsedLine } from './log-events.ts';
import type { RemoteEnd } from './remote-run.ts';
import type { RemoteScript } from './remote-script.ts';
import type { HeadwayError } from '../../contract/errors.ts';

export type InputEvent =
  | { kind: 'line'; line: ParsedLine }
  /** The input is read; `exact` when nothing can be missing since the last run. Once a run. */
  | { kind: 'resumed'; exact: boolean }
  | { kind: 'waiting' }
  /** This run is of no more use: begin another at once. */
  | { kind: 'restart' };

/** Lives as long as the tail and keeps its place over runs and connections. */
export interface InputReader {
  /** The script that goes on where the last run ended. */
  begin(): RemoteScript;
  /** @throws Error when the host's output makes no sense. */
  read(chunk: Buffer, nowMs: number): Iterable<InputEvent>;
  /**
   * Where to go on after a restart of Headway, as JSON: behind the last whole line that was read. Null when there is
   * no such place. Costly for some, so not to be asked for each chunk.
   */
  place(): unknown;
  /** Takes what `place()` gave in an earlier life, before the first `begin()`; false when it makes no sense. */
  restore(place: unknown): boolean;
  /** What an end of the script means, and when to try again. Never called for a lost connection. */
  ended(end: RemoteEnd, host: string): InputEnd;
}

export interface InputEnd {
  state: 'waiting-for-file' | 'failed' | 'live';
  error: HeadwayError | null;
  retryMs: number;
}

/** `pod NAME` or `pods SELECTOR`, behind the namespace where one is named. */
function podsName({ namespace, pod, selector, container }: LogInput & { kind: 'kubernetes' }): string {
  const within = namespace === undefined ? '' : `${namespace}/`;
  const which = pod === undefined ? `pods ${within}${selector ?? ''}` : `pod ${within}${pod}`;
  return container === undefined ? which : `${which} ${container}`;
}

/** How an input is called in a label: a path, `docker NAME`, `unit NAME` … */
export function inputName(input: LogInput): string {
  switch (input.kind) {
    case 'file':
      return input.path;
    case 'docker':
      return `docker ${input.container}`;
    case 'journal':
      return `unit ${input.unit}`;
    case 'files':
      return input.pattern;
    case 'docker-label':
      return `docker ${input.label}`;
    case 'kubernetes':
      return podsName(input);
    case 'command':
      return `command ${input.command.join(' ')}`;
  }
}

type Host = Pick<LogHostSettings, 'user' | 'host' | 'port' | 'auth'>;

/** `user@host:port` as the settings have it; without a user when the SSH config is to name one. */
export function hostLabel({ user, host, port, auth }: Host): string {
  if (auth.kind === 'local') return host;
  return `${user === '' ? '' : `${user}@`}${host}:${port}`;
}

/** `user@host:port input`, unique within a connection. */
export function inputLabel(settings: Host, input: LogInput): string {
  return `${hostLabel(settings)} ${inputName(input)}`;
}
