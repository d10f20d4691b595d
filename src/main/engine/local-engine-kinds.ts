// The kinds of an engine as settings declare them, each with its handler. A kind that did not change keeps its handler,
// with its threads and connections; one that is gone or changed is closed when its last job has ended.
import type { JobKind } from '../../contract/job-kinds.ts';
import type { EngineKind } from './engine-parts.ts';
import type { Handler } from './workers/handler.ts';

interface Made {
  /** The kind as it was declared. */
  text: string;
  kind: EngineKind;
  handler: Handler;
  /** What is wrong with it, asked once; null when nothing is. */
  problem: Promise<string | null>;
  running: number;
  /** Another takes its place: close it as soon as nothing runs. */
  isRetired: boolean;
}

export interface LocalEngineKindsParts {
  createHandler: (kind: JobKind) => Handler;
  /** What would keep every job of the kind from running, named; null when nothing does. */
  checkHandler: (kind: JobKind) => Promise<string | null>;
  /** A handler could not be closed. */
  onProblem: (problem: Error) => void;
}

export class LocalEngineKinds implements AsyncDisposable {
  readonly #parts: LocalEngineKindsParts;
  #made = new Map<string, Made>();
  readonly #closing = new Set<Promise<void>>();

  constructor(parts: LocalEngineKindsParts) {
    this.#parts = parts;
  }

  /** The kinds to run from now on. */
  apply(declared: readonly JobKind[]): EngineKind[] {
    const before = this.#made;
    this.#made = new Map();
    for (const kind of declared) {
      // Its jobs are taken over HTTP, and nobody listens here; they wait for an engine that has it.
      if (kind.handler.type === 'pull') continue;
      const text = JSON.stringify(kind);
      const kept = before.get(kind.kind);
      this.#made.set(kind.kind, kept?.text === text ? kept : this.#make(kind, text));
    }
    for (const made of before.values()) {
      if (this.#made.get(made.handler.kind) === made) continue;
      made.isRetired = true;
      if (made.running === 0) this.#close(made);
    }
    return [...this.#made.values()].map(({ kind }) => kind);
  }

  /** What is wrong with kinds, each named: their jobs fail until it is mended. */
  async problems(): Promise<string[]> {
    const all = await Promise.all([...this.#made.values()].map(({ problem }) => problem));
    return all.filter((problem) => problem !== null);
  }

  /** The paths of a payload that its kind wants blacked out. */
  redactOf(kind: string): readonly string[] {
    return this.#made.get(kind)?.kind.policy.redact ?? [];
  }

  /** Closes every handler, also those whose jobs still run. */
  async [Symbol.asyncDispose](): Promise<void> {
    const made = [...this.#made.values()];
    this.#made.clear();
    for (const each of made) this.#close(each);
    await Promise.all(this.#closing);
  }

  #make(declared: JobKind, text: string): Made {
    const { handler: _, ...policy } = declared;
    const handler = this.#parts.createHandler(declared);
    const made: Made = {
      text,
      handler,
      problem: this.#parts.checkHandler(declared).catch((error: unknown) => String(error)),
      running: 0,
      isRetired: false,
      kind: { policy, handler: this.#counted(handler, () => made) },
    };
    return made;
  }

  /** The same handler, which knows how many jobs it runs. */
  #counted(handler: Handler, made: () => Made): Handler {
    return {
      kind: handler.kind,
      runsIn: handler.runsIn,
      run: async (job, context) => {
        made().running += 1;
        try {
          await handler.run(job, context);
        } finally {
          made().running -= 1;
          if (made().isRetired && made().running === 0) this.#close(made());
        }
      },
      use: (jobId) => handler.use?.(jobId) ?? null,
      recycle: () => handler.recycle?.(),
    };
  }

  #close({ handler }: Made): void {
    const closing = Promise.resolve(handler[Symbol.asyncDispose]?.())
      .catch((cause: unknown) =>
        this.#parts.onProblem(new Error(`the handler of "${handler.kind}" could not be closed`, { cause })),
      )
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}
