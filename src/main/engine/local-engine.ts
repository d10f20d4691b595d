// The engine for this computer's own jobs: what settings declare, and the application's long operations. Its file is
// durable. While the file cannot be used it says why, and tries again.
//
//   closed ──open──▶ working ──stop──▶ stopped
//      ▲  │ refused            (refused: another Headway has the file, a newer schema, not ours; it is left as it is)
//      └──┘ again when asked, at most every few seconds
import { toWireError, HeadwayError, type WireError } from '../../contract/errors.ts';
import type { EngineSettings } from '../../contract/job-kinds.ts';
import type { EngineAdmin } from './admin.ts';
import { Bulks } from './bulk.ts';
import { Engine } from './engine.ts';
import type { EngineReading } from './engine-messages.ts';
import type { EngineParts } from './engine-parts.ts';
import { LocalEngineAdmin } from './local-engine-admin.ts';
import { LocalEngineKinds, type LocalEngineKindsParts } from './local-engine-kinds.ts';
import { readEngine, type TenantNames } from './local-engine-reading.ts';
import type { Store } from './stores/store.ts';

const TRY_AGAIN_MS = 5_000;
/** Whoever has jobs is a tenant; nobody is known before. */
const NAMES: TenantNames = { word: 'tenant', known: [] };

export interface LocalEngineParts
  extends Omit<EngineParts, 'store'>, Pick<LocalEngineKindsParts, 'createHandler' | 'checkHandler'> {
  /** Rejects, and says why, when the file cannot be used. */
  openStore: () => Store | Promise<Store>;
  /** Why it does not work, or not on all it was given; null when all is well. Told on every change. */
  onState: (problem: WireError | null) => void;
}

interface Working {
  engine: Engine;
  store: Store;
  admin: EngineAdmin;
  bulks: Bulks;
}

export class LocalEngine {
  readonly #parts: LocalEngineParts;
  readonly #kinds: LocalEngineKinds;
  #settings: EngineSettings;
  #working: Working | null = null;
  #refused: HeadwayError | null = null;
  #triedAtMs = 0;
  /** The problem last told; undefined when all was well, as at first. */
  #told: string | undefined;
  #isStopped = false;
  /** Opening, changing and stopping follow one another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: LocalEngineParts, settings: EngineSettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.#kinds = new LocalEngineKinds(parts);
  }

  /** Never rejects: what is wrong is told. */
  async start(): Promise<void> {
    await this.#inTurn(() => this.#open()).catch(() => undefined);
  }

  /** Holds for the next jobs; what runs goes on as it began. */
  configure(settings: EngineSettings): Promise<void> {
    return this.#inTurn(() => {
      this.#settings = settings;
      if (!this.#working) return;
      const { engine, bulks } = this.#working;
      engine.setKinds([...this.#kinds.apply(settings.kinds), bulks.kind]);
      engine.configure(settings);
      void this.#tellOfKinds();
    });
  }

  /** Rejects with HeadwayError, and why, while the file cannot be used. */
  async sample(): Promise<EngineReading> {
    const { engine, store } = await this.#opened();
    return readEngine(engine, store, NAMES);
  }

  /** Rejects like `sample`. */
  async admin<T>(call: (admin: EngineAdmin) => Promise<T>): Promise<T> {
    return call((await this.#opened()).admin);
  }

  /** Running jobs have `deadlineMs` to finish; the rest is kept. Idempotent; safe before start. */
  stop(deadlineMs: number): Promise<void> {
    this.#isStopped = true;
    return this.#inTurn(async () => {
      const working = this.#working;
      this.#working = null;
      await using stack = new AsyncDisposableStack();
      if (working) stack.use(working.store);
      stack.use(this.#kinds);
      if (working) stack.defer(() => working.engine.stop(deadlineMs));
    });
  }

  async #opened(): Promise<Working> {
    if (this.#working) return this.#working;
    const { clock } = this.#parts;
    await this.#inTurn(async () => {
      if (!this.#working && clock.now() - this.#triedAtMs >= TRY_AGAIN_MS) await this.#open();
    });
    // A call, so that the compiler does not take it for what it was before the await.
    const working = this.#isWorking();
    if (working) return working;
    throw this.#refused ?? new HeadwayError('unreachable', 'The local engine was stopped.');
  }

  #isWorking(): Working | null {
    return this.#working;
  }

  async #open(): Promise<void> {
    const { clock } = this.#parts;
    if (this.#isStopped || this.#working) return;
    this.#triedAtMs = clock.now();
    try {
      await using undo = new AsyncDisposableStack();
      const store = undo.use(await this.#parts.openStore());
      const bulks = new Bulks(store, () => engine.wake());
      const kinds = [...this.#kinds.apply(this.#settings.kinds), bulks.kind];
      const engine = new Engine({ ...this.#parts, store }, kinds, this.#settings);
      undo.defer(() => engine.stop(0));
      await engine.start();
      undo.move();
      const redactOf = (kind: string): readonly string[] => this.#kinds.redactOf(kind);
      const admin = new LocalEngineAdmin({ engine, store, bulks, redactOf });
      this.#working = { engine, store, admin, bulks };
      this.#refused = null;
      void this.#tellOfKinds();
    } catch (error) {
      this.#refused = refusal(error);
      this.#tell(this.#refused);
      throw this.#refused;
    }
  }

  /** Behind the work, for a module is loaded to see whether it loads. */
  async #tellOfKinds(): Promise<void> {
    const settings = this.#settings;
    const problems = await this.#kinds.problems();
    if (settings !== this.#settings || this.#refused !== null || this.#isStopped) return;
    this.#tell(problems.length === 0 ? null : new HeadwayError('settings-invalid', problems.join('; ')));
  }

  #tell(problem: HeadwayError | null): void {
    if (problem?.message === this.#told) return;
    this.#told = problem?.message;
    this.#parts.onState(problem?.toWire() ?? null);
  }

  #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

function refusal(error: unknown): HeadwayError {
  if (error instanceof HeadwayError) return error;
  const { message } = toWireError(error);
  return new HeadwayError('storage-failed', `The local engine cannot start. ${message}`, {
    retryable: true,
    cause: error,
  });
}
