// Plays incidents on an engine of its own: which one, and with which switches, may change at any time. Each incident
// begins with an empty store, and leaves nothing behind.
import { join } from 'node:path';
import type { Incident, Rehearsal as RehearsalState, RehearsalChange } from '../../contract/rehearsal.ts';
import { HeadwayError } from '../../contract/errors.ts';
import type { EngineAdmin } from './admin.ts';
import { Bulks } from './bulk.ts';
import { Engine } from './engine.ts';
import type { EngineReading } from './engine-messages.ts';
import type { EngineParts } from './engine-parts.ts';
import { LocalEngineAdmin } from './local-engine-admin.ts';
import { readEngine } from './local-engine-reading.ts';
import {
  asItWas,
  type IncidentPlay,
  type Performance,
  type Stage,
  type Switches,
} from './rehearsals/incident-play.ts';
import { describeRehearsal, incidents } from './rehearsals/index.ts';
import type { Store } from './stores/store.ts';

/** The rehearsal's jobs are worthless: nobody should wait for them. */
const STOP_DEADLINE_MS = 0;
/** An incident that could not begin is tried again when somebody looks, not more often. */
const TRY_AGAIN_MS = 1_000;

export interface RehearsalParts extends Pick<
  EngineParts,
  'clock' | 'random' | 'memory' | 'owner' | 'onAttempt'
> {
  /** A folder of the rehearsal alone. */
  folder: string;
  /** An empty store, in that file or elsewhere. */
  openStore: (file: string) => Store | Promise<Store>;
  handler: Stage['handler'];
  /** Multiplies every duration; 1 in the window. */
  pace?: number;
  /** Which incident, how, or the time of the next one changed. */
  onChange: (state: RehearsalState) => void;
  /** Something worth a line in the log. */
  onNote: (text: string) => void;
  onProblem: (problem: Error) => void;
}

/** An incident that is being played. */
interface Playing {
  play: IncidentPlay;
  switches: Switches;
  performance: Performance;
  engine: Engine;
  store: Store;
  bulks: Bulks;
  admin: EngineAdmin;
  /** Aborts when it ends: nothing more is sent, told or complained of. */
  over: AbortController;
}

export class Rehearsal {
  readonly #parts: RehearsalParts;
  #playing: Playing | null = null;
  /** What could not begin, and why; it is tried again. */
  #failed: { incident: Incident; switches: Switches; error: unknown; atMs: number } | null = null;
  /** Changes are made one after another. */
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(parts: RehearsalParts) {
    this.#parts = parts;
  }

  /** Plays `incident`; switches left out are as it was. Never rejects: sample() tells why nothing is played. */
  async start(incident: Incident, switches: Switches): Promise<void> {
    await this.#inTurn(() => this.#begin(incident, switches)).catch(() => undefined);
  }

  /** Ends what runs at once. Idempotent; safe before start. */
  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#inTurn(() => this.#end());
  }

  /** Rejects with `bad-request` for a switch or a value that the incident does not have; all stays as it was then. */
  change({ incident, switches = {} }: RehearsalChange): Promise<RehearsalState> {
    return this.#inTurn(async () => {
      const playing = this.#playing;
      const before = playing?.play.incident ?? this.#failed?.incident;
      if (playing && (incident ?? before) === before) {
        this.#switch(playing, { ...playing.switches, ...checked(playing.play, switches) });
      } else {
        const play = incidents[incident ?? before ?? 1];
        checked(play, switches);
        await this.#end();
        this.#parts.onNote(`rehearsal: incident ${play.incident}, ${play.title}`);
        await this.#begin(play.incident, switches);
      }
      return this.#tell();
    });
  }

  /** Makes it happen now. */
  act(): Promise<void> {
    return this.#inTurn(() => this.#now().performance.act());
  }

  sample(): Promise<EngineReading> {
    return this.#inTurn(async () => {
      const failed = this.#failed;
      if (failed && this.#parts.clock.now() - failed.atMs >= TRY_AGAIN_MS)
        await this.#begin(failed.incident, failed.switches);
      const { engine, store, play } = this.#now();
      return readEngine(engine, store, { word: play.tenantWord, known: play.tenants });
    });
  }

  /** Of the incident that is played when it is asked. */
  admin<T>(call: (admin: EngineAdmin) => Promise<T>): Promise<T> {
    return this.#inTurn(() => call(this.#now().admin));
  }

  async #begin(incident: Incident, switches: Switches): Promise<void> {
    if (this.#isStopped) return;
    this.#failed = null;
    try {
      await this.#open(incident, switches);
    } catch (error) {
      this.#failed = { incident, switches, error, atMs: this.#parts.clock.now() };
      throw error;
    }
  }

  async #open(incident: Incident, switches: Switches): Promise<void> {
    const {
      folder,
      openStore,
      handler,
      pace = 1,
      clock,
      random,
      memory,
      owner,
      onAttempt,
      onNote,
      onProblem,
    } = this.#parts;
    const play = incidents[incident];
    const known = { ...asItWas(play), ...checked(play, switches) };
    await using undo = new AsyncDisposableStack();
    const store = undo.use(await openStore(join(folder, 'queue.db')));
    // The engine is made of the performance's kinds, and the performance sends its jobs to the engine.
    let send: Engine | null = null;
    const over = new AbortController();
    const performance = undo.use(
      await play.perform(
        {
          clock,
          random,
          pace,
          folder,
          store,
          handler,
          enqueue: async (jobs) => {
            if (!over.signal.aborted) await send?.enqueue(jobs);
          },
          note: onNote,
          problem: (what, cause) => {
            if (!over.signal.aborted) onProblem(new Error(what, { cause }));
          },
          changed: () => {
            if (this.#playing?.over === over) this.#tell();
          },
        },
        known,
      ),
    );
    const bulks = new Bulks(store, () => engine.wake());
    const kinds = [...performance.kinds(known), bulks.kind];
    const engine = new Engine(
      { store, clock, owner, random, memory, onAttempt, onProblem },
      kinds,
      play.tuning(known),
    );
    send = engine;
    undo.defer(() => engine.stop(STOP_DEADLINE_MS));
    await engine.start();
    undo.move();
    const admin = new LocalEngineAdmin({ engine, store, bulks, redactOf: () => [] });
    this.#playing = { play, switches: known, performance, engine, store, bulks, admin, over };
    performance.begin();
  }

  async #end(): Promise<void> {
    const playing = this.#playing;
    this.#playing = null;
    this.#failed = null;
    if (!playing) return;
    playing.over.abort();
    await using stack = new AsyncDisposableStack();
    stack.use(playing.store);
    stack.use(playing.performance);
    stack.defer(() => playing.engine.stop(STOP_DEADLINE_MS));
  }

  #switch(playing: Playing, switches: Switches): void {
    const { play, performance, engine, bulks } = playing;
    playing.switches = switches;
    engine.setKinds([...performance.kinds(switches), bulks.kind]);
    engine.configure(play.tuning(switches));
    performance.changed(switches);
    const words = play.switches.map(({ id, label, options }) => {
      const option = options.find(({ value }) => value === switches[id]);
      return `${label.toLowerCase()}: ${option?.label ?? ''}`;
    });
    this.#parts.onNote(`rehearsal: ${words.join(', ')}`);
  }

  #now(): Playing {
    if (this.#playing) return this.#playing;
    if (this.#failed) throw this.#failed.error;
    throw new HeadwayError('unreachable', 'No rehearsal is played now.', { retryable: true });
  }

  #tell(): RehearsalState {
    const { play, switches, performance } = this.#now();
    const state = describeRehearsal(play, switches, performance.nextAtMs);
    this.#parts.onChange(state);
    return state;
  }

  #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

function checked(play: IncidentPlay, switches: Switches): Switches {
  for (const [id, value] of Object.entries(switches)) {
    const known = play.switches.find((each) => each.id === id);
    if (!known) throw new HeadwayError('bad-request', `The rehearsal "${play.title}" has no switch "${id}".`);
    if (!known.options.some((option) => option.value === value)) {
      const values = known.options.map((option) => `"${option.value}"`).join(' or ');
      throw new HeadwayError(
        'bad-request',
        `The switch "${id}" of the rehearsal is ${values}, not "${value}".`,
      );
    }
  }
  return switches;
}
