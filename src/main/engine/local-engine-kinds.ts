// The kinds of an engine as settings declare them, each with its handler. A kind that did not change keeps its handler,
// with its threads and connections; one that is gone or changed is closed when its last job has ended.
import type { JobKind } from '../../contract/job-kinds.ts';
import type { EngineKind } from './engine-parts.ts';
import { type Handler, JobError } from './workers/handler.ts';

interface Made {
  /** The kind as it was declared. */
  text: string;
  kind: EngineKind;
  handler: Handler;
  running: number;
  /** Another takes its place: close it as soon as nothing runs. */
  isRetired: boolean;
}

export interface LocalEngineKindsParts {
  /** Throws or rejects, and says why, when the kind cannot be run at all. */
  createHandler: (kind: JobKind) => Handler;
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

  /**
   * The kinds to run from now on. A kind whose handler cannot be made is run by one that fails its jobs at once and says
   * why; `problems` names it.
   */
  apply(declared: readonly JobKind[]): { kinds: EngineKind[]; problems: string[] } {
    const problems: string[] = [];
    const before = this.#made;
    this.#made = new Map();
    for (const kind of declared) {
      const text = JSON.stringify(kind);
      const kept = before.get(kind.kind);
      const made = kept?.text === text ? kept : this.#make(kind, text, problems);
      this.#made.set(kind.kind, made);
    }
    for (const made of before.values()) {
      if (this.#made.get(made.handler.kind) === made) continue;
      made.isRetired = true;
      if (made.running === 0) this.#close(made);
    }
    return { kinds: [...this.#made.values()].map(({ kind }) => kind), problems };
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

  #make(declared: JobKind, text: string, problems: string[]): Made {
    const { handler: _, ...policy } = declared;
    const handler = this.#handler(declared, problems);
    const made: Made = {
      text,
      handler,
      running: 0,
      isRetired: false,
      kind: { policy, handler: this.#counted(handler, () => made) },
    };
    return made;
  }

  #handler(declared: JobKind, problems: string[]): Handler {
    try {
      return this.#parts.createHandler(declared);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      problems.push(`Jobs of kind "${declared.kind}" cannot be run: ${why}`);
      const refuse = (): Promise<void> => Promise.reject(new JobError('permanent', why));
      return { kind: declared.kind, runsIn: 'engine', run: refuse };
    }
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
