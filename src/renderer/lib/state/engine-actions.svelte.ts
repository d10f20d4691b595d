// Changes to an engine's jobs: asked for, confirmed by a person, then sent. The backend refuses by itself what may not be.
import type { EngineView } from '../../../contract/engine-report.ts';
import type { ConnectionSummary } from '../../../contract/live.ts';
import type { JobRecord } from '../format/engine-words.ts';
import type { Backend } from './backend.ts';
import { planOf } from './engine-plan.ts';
import type { EnginePlan, EngineRequest, PlanContext } from './engine-plan.ts';

/** Rows shown of what a change would touch. */
const SAMPLE = 3;

/** Why nothing may be changed here, in words; null when it may. */
export function whyNoChange(
  view: EngineView | null,
  connection: Pick<ConnectionSummary, 'name' | 'safety'> | undefined,
): string | null {
  if (view === null || connection === undefined) return 'The engine has not answered yet';
  if (connection.safety !== 'read-only') return null;
  return `${connection.name} is connected read-only: change its safety level under Connections`;
}

export class EngineActions {
  /** What waits for a word. */
  asked = $state.raw<{ request: EngineRequest; plan: EnginePlan } | null>(null);
  /** Some of the jobs that a bulk change would touch; null while they are read. */
  sample = $state.raw<readonly JobRecord[] | null>(null);
  reason = $state('');
  typed = $state('');
  busy = $state(false);
  problem = $state<string | null>(null);
  /** What was done last, for the status line. */
  done = $state('');
  readonly ready: boolean = $derived.by(() => {
    const typed = this.asked?.plan.typed ?? null;
    return this.asked !== null && !this.busy && (typed === null || this.typed.trim() === typed);
  });
  /** Called after a change was taken. */
  onDone: () => void = () => undefined;

  readonly #backend: Backend;
  readonly #connectionId: string;
  readonly #context: () => PlanContext;
  readonly #ended = new AbortController();

  constructor(backend: Backend, connectionId: string, context: () => PlanContext) {
    this.#backend = backend;
    this.#connectionId = connectionId;
    this.#context = context;
  }

  ask(request: EngineRequest): void {
    this.asked = { request, plan: planOf(request, this.#context()) };
    this.reason = '';
    this.typed = '';
    this.problem = null;
    this.sample = null;
    if (request.do === 'bulk') void this.#readSample(request);
  }

  cancel(): void {
    this.asked = null;
  }

  /** Does what was asked. False when it may not yet, or was refused; `problem` then says why. */
  async confirm(): Promise<boolean> {
    const { asked } = this;
    if (asked === null || !this.ready) return false;
    const sent = await this.#try(() => this.#send(asked.request));
    if (sent) {
      this.done = `${asked.plan.title.replace(/\?$/, '')}: asked of the engine`;
      this.asked = null;
      this.onDone();
    }
    return sent;
  }

  /** Stops a long operation; nothing more is asked, for what is done stays done. */
  async stopBulk(jobId: number): Promise<boolean> {
    return this.#try(() =>
      this.#backend.call('engine.stopBulk', { connectionId: this.#connectionId, jobId }),
    );
  }

  #send(request: EngineRequest): Promise<unknown> {
    const connectionId = this.#connectionId;
    switch (request.do) {
      case 'hold':
        return this.#backend.call('engine.hold', {
          connectionId,
          ...request.scope,
          mode: request.mode,
          reason: this.reason.trim(),
        });
      case 'unhold':
        return this.#backend.call('engine.unhold', { connectionId, ...request.scope });
      case 'bulk':
        return this.#backend.call('engine.bulk', {
          connectionId,
          what: request.what,
          filter: request.filter,
        });
    }
  }

  async #readSample(request: Extract<EngineRequest, { do: 'bulk' }>): Promise<void> {
    const input = { connectionId: this.#connectionId, filter: request.filter, limit: SAMPLE };
    const { signal } = this.#ended;
    try {
      const sample =
        request.what === 'requeue' || request.what === 'discard'
          ? await this.#backend.call('engine.deadJobs', input, { signal })
          : (await this.#backend.call('engine.blockedJobs', input, { signal })).map(({ job }) => job);
      if (this.asked?.request === request) this.sample = sample;
    } catch (error) {
      if (!signal.aborted && this.asked?.request === request) this.problem = messageOf(error);
    }
  }

  async #try(work: () => Promise<unknown>): Promise<boolean> {
    this.busy = true;
    this.problem = null;
    try {
      await work();
      return true;
    } catch (error) {
      this.problem = messageOf(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.asked = null;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
