// An engine among all that share a store: it says every ten seconds that it lives, takes over what dead ones left, and
// knows when it must be thought dead itself (incident 4: workers registered, reclaimed after five minutes).
//
// A store of its own has nobody to tell: there everything is taken over at the start, and an idle engine writes nothing.
import { HeadwayError } from '../../contract/errors.ts';
import type { ClaimNames } from './claim-names.ts';
import type { StoreClock } from './store-clock.ts';
import type { StoreHealth } from './store-health.ts';
import type { Store } from './stores/store.ts';

const BEAT_EVERY_MS = 10_000;
const DEAD_AFTER_MS = 300_000;
const BEATING = 'saying that this engine lives';

export interface MembershipParts {
  store: Store;
  clock: StoreClock;
  names: ClaimNames;
  /** What the engine says of itself: JSON of contract/engine-report.ts. */
  report: () => string;
  /** Jobs of dead engines are ready again. */
  onReclaimed: () => void;
  /** Others must think this engine dead: its claims are lost. */
  onPresumedDead: (silentMs: number) => void;
  onProblem: (problem: Error) => void;
  health: StoreHealth;
}

export class Membership {
  readonly #parts: MembershipParts;
  #state: 'idle' | 'joined' | 'left' = 'idle';
  #lastBeatAtMs = 0;
  #takeBack: (() => void) | null = null;
  #beat: Promise<void> | null = null;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /**
   * Takes over what dead engines left and begins to beat. Rejects with `conflict` where an engine of the same name lives, or
   * died too lately to tell; and as the store does.
   */
  async join(): Promise<void> {
    const { store, clock, names } = this.#parts;
    const owner = names.current;
    await clock.measure(store);
    const nowMs = clock.now();
    if (store.exclusive) {
      await store.reclaim({ except: '', silentSinceMs: Number.MAX_SAFE_INTEGER, nowMs });
    } else {
      const same = (await store.owners()).find(({ id }) => id === owner);
      if (same && nowMs - same.beatAtMs < DEAD_AFTER_MS)
        throw sameName(owner, store.description, nowMs - same.beatAtMs);
      await store.reclaim({ except: '', silentSinceMs: nowMs - DEAD_AFTER_MS, nowMs });
    }
    await this.beat();
    if (this.#state === 'left') {
      // It was stopped before it had begun.
      await store.leave(owner);
      return;
    }
    this.#state = 'joined';
    this.#later();
  }

  /** Says under every name that this engine lives. */
  async beat(): Promise<void> {
    const { store, clock, names, report } = this.#parts;
    const nowMs = clock.now();
    const text = report();
    for (const name of names.all) await store.beat(name, text, nowMs);
    this.#lastBeatAtMs = nowMs;
  }

  /** Gives a former name up: what it held and nobody knows of is ready again with the next beat. */
  async leaveAs(name: string): Promise<void> {
    await this.#parts.store.leave(name);
    this.#parts.names.forget(name);
  }

  /** Beats no more, and is forgotten: claims it could not give back are free at once. */
  async leave(): Promise<void> {
    const wasJoined = this.#isJoined();
    this.#state = 'left';
    this.#takeBack?.();
    this.#takeBack = null;
    await this.#beat;
    // Never joined: somebody else may live under the same name.
    if (!wasJoined) return;
    try {
      for (const name of this.#parts.names.all) await this.#parts.store.leave(name);
    } catch (error) {
      this.#parts.onProblem(new Error('the job store failed while this engine left it', { cause: error }));
    }
  }

  #later(): void {
    const { store, clock } = this.#parts;
    if (store.exclusive || !this.#isJoined()) return;
    this.#takeBack = clock.after(BEAT_EVERY_MS, () => {
      this.#lookAtSilence();
      // The last one may still wait for a store that does not answer.
      this.#beat ??= this.#beatOnce();
      this.#later();
    });
  }

  async #beatOnce(): Promise<void> {
    const { store, clock, names, onReclaimed, health } = this.#parts;
    try {
      await clock.measure(store);
      await this.beat();
      const nowMs = clock.now();
      const taken = await store.reclaim({
        except: names.current,
        silentSinceMs: nowMs - DEAD_AFTER_MS,
        nowMs,
      });
      if (taken > 0) onReclaimed();
      health.succeeded(BEATING);
    } catch (error) {
      health.failed(BEATING, error);
    } finally {
      this.#beat = null;
    }
  }

  /** After a long sleep of the computer, or while the store cannot be reached. */
  #lookAtSilence(): void {
    const nowMs = this.#parts.clock.now();
    const silentMs = nowMs - this.#lastBeatAtMs;
    if (silentMs <= DEAD_AFTER_MS) return;
    // Told once; another five minutes of silence are another time.
    this.#lastBeatAtMs = nowMs;
    this.#parts.onPresumedDead(silentMs);
  }

  /** A call, so that the compiler does not take the state for what it was before the last await. */
  #isJoined(): boolean {
    return this.#state === 'joined';
  }
}

function sameName(owner: string, store: string, silentMs: number): HeadwayError {
  const seconds = Math.round(silentMs / 1_000);
  return new HeadwayError(
    'conflict',
    `An engine called "${owner}" works on ${store} already (it was heard ${seconds} s ago). Give this one another name; ` +
      'if the other one was killed, its name is free five minutes after its last word.',
  );
}
