// Inputs that are found and not named: files by a pattern, containers by a label, pods by a selector. The host is asked
// again and again which there are; each is followed on its own, with a place of its own.
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwayError, type WireError } from '../../contract/errors.ts';
import type { LogHostState } from '../../contract/live.ts';
import type { HostLink } from './host-link.ts';
import { InputFollower } from './input-follower.ts';
import type { LogListener } from './log-events.ts';
import type { InputReader } from './log-input.ts';
import type { LogPlaces } from './log-places.ts';
import { ownLine } from './parse-line.ts';
import { runToEnd, type RemoteEnd } from './remote-run.ts';
import type { RemoteScript } from './remote-script.ts';

/** More than these are not read; a note says which. */
export const MAX_MEMBERS = 20;
const LOOK_MS = 5_000;
const LOOK_TIMEOUT_MS = 15_000;
/** A member that was not found for so long has come to its end; a rotation leaves a name empty for a moment. */
const GONE_MS = 60_000;

/** What was found: how its label calls it, and how it is read. */
export interface GroupMember {
  name: string;
  open: (options: { isNew: boolean }) => InputReader;
}

export interface GroupKind {
  list(): RemoteScript;
  /** The members in the answer of `list`, in the order in which they matter. */
  members(answer: string): GroupMember[];
  error(end: RemoteEnd): HeadwayError | null;
}

export interface InputGroupOptions {
  /** `user@host:port `, in front of the members' names. */
  prefix: string;
  /** The group's own label, unique within the connection. */
  label: string;
  host: string;
  kind: GroupKind;
  listener: LogListener;
  places: LogPlaces;
  now: () => number;
  /** Between two looks; 5 s unless told otherwise. */
  lookMs?: number | undefined;
}

interface Followed {
  follower: InputFollower;
  stop: AbortController;
  following: Promise<void>;
  seenAtMs: number;
}

export class InputGroup {
  #options: InputGroupOptions;
  #members = new Map<string, Followed>();
  /** Members that are not read, as last told. */
  #tooMany = '';
  /** Whether this host was looked at before, in this life or an earlier one: what is found now is new. */
  #looked = false;
  #state: LogHostState | null = null;

  constructor(options: InputGroupOptions) {
    this.#options = options;
  }

  async restore(): Promise<void> {
    const { places, label } = this.#options;
    this.#looked = (await places.find(label)) !== null;
  }

  /** Looks and reads until `signal` aborts. */
  async follow(link: HostLink, signal: AbortSignal): Promise<void> {
    for (const followed of this.#members.values()) this.#begin(followed, link, signal);
    while (!signal.aborted) {
      try {
        await this.#look(link, signal);
      } catch (error) {
        if (isAborted(signal)) break;
        this.#setState(
          'failed',
          error instanceof HeadwayError ? error : new HeadwayError('command-failed', String(error)),
        );
      }
      await sleep(this.#options.lookMs ?? LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
    await Promise.all([...this.#members.values()].map(({ following }) => following));
  }

  connectionState(state: 'connecting' | 'reconnecting' | 'failed', error: HeadwayError | null): void {
    this.#setState(state, error);
    for (const { follower } of this.#members.values()) follower.connectionState(state, error);
  }

  async settle(): Promise<void> {
    const { places, label, now } = this.#options;
    if (this.#looked) await places.settle(label, { place: null, atMs: now(), settled: true });
    await Promise.all([...this.#members.values()].map(({ follower }) => follower.settle()));
  }

  async #look(link: HostLink, signal: AbortSignal): Promise<void> {
    const { kind, now } = this.#options;
    const within = AbortSignal.any([signal, AbortSignal.timeout(LOOK_TIMEOUT_MS)]);
    const answer = await runToEnd(link, kind.list(), within);
    if (signal.aborted) return;
    const error = answer.code === null ? timedOut(this.#options.label) : kind.error(answer);
    if (error !== null) throw error;
    const found = kind.members(answer.stdout);
    for (const { name } of found) {
      const followed = this.#members.get(name);
      if (followed !== undefined) followed.seenAtMs = now();
    }
    await this.#forgetGone();
    const unread: string[] = [];
    for (const member of found) {
      if (this.#members.has(member.name)) continue;
      if (this.#members.size < MAX_MEMBERS) await this.#add(member, link, signal);
      else unread.push(member.name);
    }
    this.#looked = true;
    this.#tellUnread(found.length, unread);
    this.#setState(found.length === 0 ? 'waiting-for-file' : 'live', null);
  }

  async #add({ name, open }: GroupMember, link: HostLink, signal: AbortSignal): Promise<void> {
    const { prefix, host, listener, places, now } = this.#options;
    const isNew = this.#looked;
    const follower = new InputFollower({
      label: `${prefix}${name}`,
      host,
      reader: open({ isNew }),
      listener,
      places,
      now,
    });
    await follower.restore();
    const followed = { follower, stop: new AbortController(), following: Promise.resolve(), seenAtMs: now() };
    this.#members.set(name, followed);
    if (isNew) this.#note(`Found ${name}; it is read too.`);
    this.#begin(followed, link, signal);
  }

  #begin(followed: Followed, link: HostLink, signal: AbortSignal): void {
    followed.following = followed.follower.follow(link, AbortSignal.any([signal, followed.stop.signal]));
  }

  async #forgetGone(): Promise<void> {
    const { listener, now } = this.#options;
    for (const [name, { follower, stop, following, seenAtMs }] of this.#members) {
      if (now() - seenAtMs < GONE_MS) continue;
      this.#members.delete(name);
      stop.abort();
      await following;
      await follower.settle();
      listener.gone?.(follower.label);
    }
  }

  #tellUnread(found: number, unread: string[]): void {
    const names = unread.slice(0, 5).join(', ') + (unread.length > 5 ? ', …' : '');
    if (names === this.#tooMany) return;
    this.#tooMany = names;
    if (names === '') return;
    this.#note(`${found} are found, and at most ${MAX_MEMBERS} are read. Not read: ${names}.`);
  }

  #note(text: string): void {
    const { listener, label, now } = this.#options;
    listener.lines(label, [ownLine('note', text, now())]);
  }

  #setState(state: LogHostState['state'], error: HeadwayError | null): void {
    const wire: WireError | null = error?.toWire() ?? null;
    if (this.#state?.state === state && this.#state.error?.message === wire?.message) return;
    const { label, listener, now } = this.#options;
    this.#state = { label, state, sinceMs: now(), error: wire };
    listener.state(this.#state);
  }
}

function timedOut(label: string): HeadwayError {
  const message = `${label}: the host did not say within ${LOOK_TIMEOUT_MS / 1000} s what there is.`;
  return new HeadwayError('timeout', message, { retryable: true });
}

// A function, so that the compiler does not take an earlier look at the signal for the present one.
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
