// What the log tests share: a listener that remembers, and a tail against a throwaway sshd.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogHostState } from '../../src/contract/live.ts';
import type { LogHostSettings, LogInput } from '../../src/contract/settings.ts';
import { HostKeys } from '../../src/main/logs/host-keys.ts';
import type { LogListener, ParsedLine } from '../../src/main/logs/log-events.ts';
import { LogPlacesFolder, noPlaces, type LogPlaces } from '../../src/main/logs/log-places.ts';
import { LogTail, type LogTailDeps } from '../../src/main/logs/log-tail.ts';
import { writePrivateFile } from '../../src/main/settings/private-file.ts';
import type { Sshd } from '../harness/sshd.ts';
import { until } from '../harness/until.ts';

export class RecordingListener implements LogListener {
  readonly all: ParsedLine[] = [];
  readonly states: LogHostState[] = [];
  readonly batches: { atMs: number; size: number; source: string }[] = [];
  /** The numbers of all lines `line N end`, in the order of arrival. */
  readonly numbers: number[] = [];

  lines(source: string, lines: ParsedLine[]): void {
    this.batches.push({ atMs: performance.now(), size: lines.length, source });
    for (const line of lines) {
      this.all.push(line);
      const match = line.kind === 'line' ? /^line (\d+) end$/.exec(line.text) : null;
      if (match !== null) this.numbers.push(Number(match[1]));
    }
  }

  state(state: LogHostState): void {
    this.states.push(state);
  }

  get lastState(): LogHostState | undefined {
    return this.states.at(-1);
  }

  texts(kind: ParsedLine['kind']): string[] {
    return this.all.filter((line) => line.kind === kind).map((line) => line.text);
  }

  async untilState(state: LogHostState['state']): Promise<LogHostState | undefined> {
    await until(
      () => this.lastState?.state === state,
      () => `state is ${JSON.stringify(this.lastState)}, not ${state}`,
    );
    return this.lastState;
  }

  async untilNumber(number: number): Promise<void> {
    await until(
      () => this.numbers.includes(number),
      () =>
        `last number is ${this.numbers.at(-1) ?? 'none'}, not ${number}; ${JSON.stringify(this.lastState)}`,
    );
  }
}

export async function depsFor(sshd: Sshd, knownHosts: string = sshd.knownHostsLine): Promise<LogTailDeps> {
  const known = join(sshd.folder, `known_hosts_${Math.random().toString(36).slice(2)}`);
  await writeFile(known, `${knownHosts}\n`);
  return {
    hostKeys: new HostKeys({ readOnlyFiles: [known], ownFile: `${known}_own` }),
    secret: (ref) =>
      Promise.resolve('stored' in ref && ref.stored === 'passphrase' ? sshd.passphrase : 'wrong'),
    sshConfigFile: '/nonexistent',
    agentSocket: undefined,
    now: Date.now,
    places: noPlaces,
    random: () => 0,
  };
}

export function settingsFor(sshd: Sshd, inputs: LogInput[]): LogHostSettings {
  const { host, port, user } = sshd;
  return { host, port, user, auth: { kind: 'key', file: sshd.privateKeyFile }, inputs };
}

export async function tailOf(sshd: Sshd, listener: LogListener, ...inputs: LogInput[]): Promise<LogTail> {
  return new LogTail(settingsFor(sshd, inputs), listener, await depsFor(sshd));
}

/** Places on disk, with nothing in memory: what a new process of Headway would have. */
export function placesIn(folder: string): LogPlaces {
  const onProblem = (error: Error | null) => {
    if (error !== null) throw error;
  };
  const options = { folder: join(folder, 'log-places'), now: Date.now, write: writePrivateFile, onProblem };
  return new LogPlacesFolder(options).of('test');
}

export const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
