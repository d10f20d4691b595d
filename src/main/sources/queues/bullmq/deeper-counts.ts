// Where so many queues share a poll that each is looked at little: counts of the long ones, a few with each poll, remembered.
import { estimate, exact, type Count } from '../../../../core/count.ts';
import type { TenantSample } from '../../../../core/sample.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { DepthMemory } from '../depth-memory.ts';
import { rowEstimates } from '../row-estimates.ts';
import * as sql from './jobs-sql.ts';
import { deeperRow } from './rows.ts';

/** Queues that one poll looks deeper at. */
const PER_POLL = 25;

export class DeeperCounts {
  readonly #schema: string;
  readonly #memory = new DepthMemory<string>(PER_POLL);

  constructor(schema: string) {
    this.#schema = schema;
  }

  /** The samples with what is known of ready and delayed jobs beyond the heads. */
  async known(
    session: PostgresSession,
    samples: readonly TenantSample[],
    nowMs: number,
    signal: AbortSignal,
  ): Promise<TenantSample[]> {
    const isLong = ({ ready, delayed }: TenantSample) =>
      ready.kind === 'at-least' || delayed.kind === 'at-least';
    const picked = this.#memory.pick(samples.filter(isLong).map(({ tenantId }) => tenantId));
    if (picked.length === 0) return [...samples];
    const rows = await session.rows(deeperRow, sql.deeper(this.#schema), signal, [picked]);
    const full = (count: number) => count >= sql.DEEP;
    const waiting = rows.filter((row) => full(row.waiting)).map(({ queue }) => queue);
    const later = rows.filter((row) => full(row.later)).map(({ queue }) => queue);
    const estimates = await rowEstimates(
      session,
      [
        ...waiting.map((queue) => sql.waitingOf(this.#schema, queue)),
        ...later.map((queue) => sql.laterOf(this.#schema, queue, nowMs)),
      ],
      signal,
    );
    const depth = (seen: number, at: number): Count =>
      full(seen) ? estimate(Math.max(seen, estimates[at] ?? 0)) : exact(seen);
    for (const row of rows) {
      this.#memory.learn(row.queue, {
        ready: depth(row.waiting, waiting.indexOf(row.queue)),
        delayed: depth(row.later, waiting.length + later.indexOf(row.queue)),
      });
    }
    return samples.map((sample) => ({ ...sample, ...this.#memory.recall(sample.tenantId, sample) }));
  }
}
