// Where so many tasks share a poll that each is looked at little: counts of the long ones, a few with each poll, remembered.
import { estimate, exact } from '../../../../core/count.ts';
import type { TenantSample } from '../../../../core/sample.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { DepthMemory } from '../depth-memory.ts';
import { rowEstimates } from '../row-estimates.ts';
import { deeperRow } from './rows.ts';
import * as sql from './sql.ts';

/** Tasks that one poll looks deeper at. */
const PER_POLL = 25;

export class DeeperCounts {
  readonly #schema: string;
  readonly #memory = new DepthMemory<number>(PER_POLL);

  constructor(schema: string) {
    this.#schema = schema;
  }

  /** The samples with what is known of ready and delayed jobs beyond the heads; `taskIds` in their order. */
  async known(
    session: PostgresSession,
    taskIds: readonly number[],
    samples: readonly TenantSample[],
    signal: AbortSignal,
  ): Promise<TenantSample[]> {
    const long = taskIds.filter((_, i) =>
      [samples[i]?.ready, samples[i]?.delayed].some((count) => count?.kind === 'at-least'),
    );
    const picked = this.#memory.pick(long);
    if (picked.length === 0) return [...samples];
    const rows = await session.rows(deeperRow, sql.deeper(this.#schema), signal, [picked]);
    const due = rows.filter(({ seen }) => seen >= sql.DEEPER).map(({ id }) => id);
    const later = rows.filter((row) => row.later >= sql.DEEPER).map(({ id }) => id);
    const estimates = await rowEstimates(
      session,
      [
        ...due.map((id) => sql.jobsOf(this.#schema, id, 'due')),
        ...later.map((id) => sql.jobsOf(this.#schema, id, 'later')),
      ],
      signal,
    );
    for (const row of rows) {
      const [ofDue, ofLater] = [due.indexOf(row.id), later.indexOf(row.id)];
      // Of the jobs that were not seen as many are blocked as of those that were.
      const free = ((estimates[ofDue] ?? 0) * row.ready) / Math.max(1, row.seen);
      this.#memory.learn(row.id, {
        ready: ofDue < 0 ? exact(row.ready) : estimate(Math.max(row.ready, Math.round(free))),
        delayed:
          ofLater < 0
            ? exact(row.later)
            : estimate(Math.max(row.later, estimates[due.length + ofLater] ?? 0)),
      });
    }
    return samples.map((sample, i) => {
      const id = taskIds[i];
      return id === undefined ? sample : { ...sample, ...this.#memory.recall(id, sample) };
    });
  }
}
