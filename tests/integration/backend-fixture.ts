// What the tests of the whole backend share: one in a folder of its own, spoken to through the contract alone.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import {
  methods,
  streams,
  type CallInput,
  type Delta,
  type HandlerInput,
  type MethodName,
  type MethodOutput,
  type Snapshot,
  type StreamName,
  type StreamParams,
  type SubscribeParams,
} from '../../src/contract/api.ts';
import { HeadwayError } from '../../src/contract/errors.ts';
import { applyRows, type OverviewHead, type TenantRow } from '../../src/contract/live.ts';
import { createBackend, type Backend } from '../../src/main/backend.ts';

export const soon = { timeout: 20_000, interval: 50 };

/** A stream as a window holds it. */
export interface Followed<S extends StreamName> {
  readonly snapshot: Snapshot<S>;
  readonly deltas: Delta<S>[];
  readonly failures: unknown[];
  leave: () => void;
}

export class TestBackend implements AsyncDisposable {
  readonly dataDirectory: string;
  readonly #backend: Backend;
  readonly #leaving = new AbortController();

  private constructor(dataDirectory: string, backend: Backend) {
    this.dataDirectory = dataDirectory;
    this.#backend = backend;
  }

  /** Starts a backend in the folder; `settings` are written to its file first, where given. */
  static async start(dataDirectory: string, settings?: unknown): Promise<TestBackend> {
    if (settings !== undefined) await writeSettings(dataDirectory, settings);
    const backend = await createBackend({ dataDirectory });
    try {
      await backend.start();
    } catch (error) {
      await backend.stop();
      throw error;
    }
    return new TestBackend(dataDirectory, backend);
  }

  /** As the host calls: input and output are what the schemas leave of them. */
  async call<M extends MethodName>(method: M, input: CallInput<M>): Promise<MethodOutput<M>> {
    // The handler of that name; the compiler cannot follow the name through.
    const handler = this.#backend.methods[method] as (
      input: HandlerInput<M>,
      signal: AbortSignal,
    ) => Promise<unknown>;
    const parsed = methods[method].input.parse(input) as HandlerInput<M>;
    const output = await handler(parsed, this.#leaving.signal);
    return methods[method].output.parse(output) as MethodOutput<M>;
  }

  async follow<S extends StreamName>(stream: S, params: SubscribeParams<S>): Promise<Followed<S>> {
    const leaving = new AbortController();
    const deltas: Delta<S>[] = [];
    const failures: unknown[] = [];
    const { snapshot, delta } = streams[stream];
    const handler = this.#backend.streams[stream] as (
      params: StreamParams<S>,
      sink: { emit: (delta: unknown) => void; fail: (error: unknown) => void },
      signal: AbortSignal,
    ) => Promise<unknown>;
    const first = await handler(
      streams[stream].params.parse(params) as StreamParams<S>,
      {
        emit: (value) => void deltas.push(delta.parse(structuredClone(value)) as Delta<S>),
        fail: (error) => {
          failures.push(error);
          leaving.abort();
        },
      },
      AbortSignal.any([leaving.signal, this.#leaving.signal]),
    );
    const parsed = snapshot.parse(structuredClone(first)) as Snapshot<S>;
    return { snapshot: parsed, deltas, failures, leave: () => leaving.abort() };
  }

  /** The overview with its changes applied. */
  async overview(connectionId: string): Promise<FollowedOverview> {
    return new FollowedOverview(await this.follow('overview', { connectionId }));
  }

  /** Resolves when the connection is live. */
  async untilLive(connectionId: string): Promise<void> {
    await expect.poll(() => this.stateOf(connectionId), soon).toBe('live');
  }

  async stateOf(connectionId: string): Promise<string | undefined> {
    const { snapshot, leave } = await this.follow('connections', {});
    leave();
    return snapshot.find(({ id }) => id === connectionId)?.state.kind;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort();
    await this.#backend.stop();
  }
}

class FollowedOverview {
  readonly #followed: Followed<'overview'>;
  readonly #rows: Map<string, TenantRow>;
  #head: OverviewHead;
  #applied = 0;

  constructor(followed: Followed<'overview'>) {
    this.#followed = followed;
    this.#head = followed.snapshot.head;
    this.#rows = new Map(followed.snapshot.rows.map((row) => [row.id, row]));
  }

  get failures(): unknown[] {
    return this.#followed.failures;
  }

  get head(): OverviewHead {
    this.#apply();
    return this.#head;
  }

  get rows(): TenantRow[] {
    this.#apply();
    return [...this.#rows.values()];
  }

  row(id: string): TenantRow {
    const row = this.rows.find((each) => each.id === id);
    if (row === undefined) throw new Error(`no row ${id}`);
    return row;
  }

  leave(): void {
    this.#followed.leave();
  }

  #apply(): void {
    for (const delta of this.#followed.deltas.slice(this.#applied)) {
      applyRows(this.#rows, delta);
      this.#head = delta.head ?? this.#head;
    }
    this.#applied = this.#followed.deltas.length;
  }
}

export async function writeSettings(dataDirectory: string, settings: unknown): Promise<void> {
  const text = typeof settings === 'string' ? settings : JSON.stringify(settings, null, 2);
  await writeFile(join(dataDirectory, 'settings.json'), text);
}

/** What a call is refused with. */
export async function refusal(call: Promise<unknown>): Promise<HeadwayError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof HeadwayError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}
