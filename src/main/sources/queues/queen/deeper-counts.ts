// Where so many partitions share a poll that each is looked at little: counts of the long ones, a few with each poll, remembered.
import { estimate, type Count } from '../../../../core/count.ts';
import type { TenantSample } from '../../../../core/sample.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import { DepthMemory } from '../depth-memory.ts';
import { rowEstimates } from '../row-estimates.ts';
import { byPartition } from './pages.ts';
import { partitionSample } from './partition-sample.ts';
import * as sql from './poll-sql.ts';
import { consumerRow, type ConsumerRow } from './rows.ts';
import type { Dialect } from './schema-sql.ts';

/** Partitions that one poll looks deeper at. */
const PER_POLL = 25;

/** Messages of one group of a partition by their creation, epoch ms; `toMs` is null where there is no end. */
interface Range {
  partitionId: string;
  state: 'ready' | 'delayed';
  fromMs: number;
  toMs: number | null;
}

export class DeeperCounts {
  readonly #dialect: Dialect;
  /** By partition id. */
  readonly #memory = new DepthMemory<string>(PER_POLL);

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** The samples with what is known of ready and delayed messages beyond the heads. */
  async known(
    session: PostgresSession,
    read: readonly { partitionId: string; sample: TenantSample }[],
    nowMs: number,
    signal: AbortSignal,
  ): Promise<TenantSample[]> {
    const long = read.filter(({ sample }) => [sample.ready, sample.delayed].some(isCut));
    const picked = this.#memory.pick(long.map(({ partitionId }) => partitionId));
    if (picked.length === 0) return read.map(({ sample }) => sample);
    const rows = await session.rows(consumerRow, sql.deeper(this.#dialect), signal, [picked]);
    const deep = byPartition(rows).map((groups) => ({
      partitionId: groups[0].partition_id,
      groups,
      ...partitionSample(groups, sql.DEEPER).sample,
    }));
    const ranges = deep
      .filter(({ ready, delayed }) => isCut(ready) || isCut(delayed))
      .flatMap(({ groups }) => groups.flatMap((group) => pending(group, nowMs)));
    const statements = ranges.map(({ partitionId, fromMs, toMs }) =>
      sql.messagesBetween(this.#dialect, partitionId, fromMs, toMs),
    );
    const estimates = await rowEstimates(session, statements, signal);
    for (const { partitionId, ...seen } of deep) {
      const whole = (state: Range['state']): Count => {
        if (!isCut(seen[state])) return seen[state];
        const estimated = ranges.reduce(
          (sum, range, i) =>
            range.partitionId === partitionId && range.state === state ? sum + (estimates[i] ?? 0) : sum,
          0,
        );
        return estimate(Math.max(seen[state].value, estimated));
      };
      this.#memory.learn(partitionId, { ready: whole('ready'), delayed: whole('delayed') });
    }
    return read.map(({ partitionId, sample }) => ({
      ...sample,
      ...this.#memory.recall(partitionId, sample),
    }));
  }
}

const isCut = (count: Count): boolean => count.kind === 'at-least';

/** What the group has not been given: from the first such message on. */
function pending(group: ConsumerRow, nowMs: number): Range[] {
  const fromMs = group.live ? group.after_at : group.first_at;
  if (fromMs === null) return [];
  const of = (state: Range['state'], from: number, toMs: number | null): Range => ({
    ...{ partitionId: group.partition_id, state, fromMs: from, toMs },
  });
  if (!group.quiet) return [of('delayed', fromMs, null)];
  if (group.delay_ms === 0) return [of('ready', fromMs, null)];
  const dueMs = nowMs - group.delay_ms;
  return [
    ...(fromMs <= dueMs ? [of('ready', fromMs, dueMs)] : []),
    of('delayed', Math.max(fromMs, dueMs), null),
  ];
}
