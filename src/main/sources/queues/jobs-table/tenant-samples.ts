// From counted rows of a jobs table to what is known of each tenant. Pure.
import { z } from 'zod';
import type { JobsMapping } from '../../../../contract/settings.ts';
import { atLeast, exact, sumCounts, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantSample, type WorkersSample } from '../../../../core/sample.ts';
import type { Look } from './mapping-sql.ts';

const looks = ['ready', 'ready-due', 'ready-later', 'delayed', 'running', 'dead', 'all'] as const;
const time = z.number().nullable();

/** One look at one tenant's rows, as `counts` in mapping-sql.ts yields it. Times in epoch ms. */
export const countedRow = z.object({
  tenant: z.string(),
  look: z.enum(looks),
  /** Rows that the look read at most. */
  most: z.number(),
  seen: z.number(),
  ready_jobs: z.number(),
  delayed_jobs: z.number(),
  running_jobs: z.number(),
  stale_jobs: z.number(),
  dead_jobs: z.number(),
  oldest_ready_ms: time,
  oldest_created_ms: time,
  /** Of a look in order of time: no row after those seen was ready before it. */
  horizon_ms: time,
  newest_start_ms: time,
  oldest_start_ms: time,
  newest_beat_ms: time,
  owners: z
    .string()
    .transform((json) => z.array(z.string().nullable()).parse(JSON.parse(json)))
    .nullable(),
});
export type CountedRow = z.infer<typeof countedRow>;

type State = 'ready' | 'delayed' | 'running' | 'stale' | 'dead';

/** States that a look may have missed rows of when there were more rows than it read. */
const missed: Record<Look, readonly State[]> = {
  ready: ['ready', 'delayed'],
  'ready-due': ['ready', 'delayed'],
  'ready-later': ['delayed'],
  delayed: ['delayed'],
  running: ['running', 'stale'],
  dead: ['dead'],
  all: [],
};

/** A look at later rows may meet those without a time first: when it met none but those, there may be more of them. */
function missedBy({ look, horizon_ms: horizonMs }: CountedRow): readonly State[] {
  return look === 'ready-later' && horizonMs === null ? ['ready', 'delayed'] : missed[look];
}

/** Which states mean dead, and which column names the worker. */
export type Meaning = Pick<JobsMapping, 'states' | 'lockedBy'>;

/** Every tenant that has rows in one of the counted states, and its workers as their rows show them. */
export function tenantSamples(
  rows: readonly CountedRow[],
  meaning: Meaning,
): { tenants: TenantSample[]; workers: WorkersSample } {
  const tenants = [...Map.groupBy(rows, (row) => row.tenant)]
    .filter(([, own]) => own.some((row) => row.seen > 0))
    .map(([tenantId, own]) => tenantSample(tenantId, own, meaning));
  return { tenants, workers: workers(rows, meaning) };
}

function tenantSample(tenantId: string, rows: readonly CountedRow[], { states }: Meaning): TenantSample {
  const count = (state: State) => sumCounts(rows.map((row) => countOf(row, state)));
  return {
    ...nothingQueued(tenantId),
    ready: count('ready'),
    delayed: count('delayed'),
    running: count('running'),
    stale: count('stale'),
    dead: states.dead.length > 0 ? count('dead') : null,
    oldestReady: oldestReady(rows),
    lastStartedAtMs: newest(rows.map((row) => row.newest_start_ms)),
    oldestRunningAtMs: oldest(rows.map((row) => row.oldest_start_ms)),
  };
}

const hasMore = ({ seen, most }: CountedRow): boolean => seen >= most;

/** The row that tells of more is not counted: "200+", not "201+". */
function countOf(row: CountedRow, state: State): Count {
  return hasMore(row) && missedBy(row).includes(state)
    ? atLeast(Math.min(row[`${state}_jobs`], row.most - 1))
    : exact(row[`${state}_jobs`]);
}

/** Proven when no look may have left out a row that was ready before. */
function oldestReady(rows: readonly CountedRow[]): TenantSample['oldestReady'] {
  let first: { readyAtMs: number; createdAtMs: number } | null = null;
  for (const row of rows) {
    const readyAtMs = row.oldest_ready_ms;
    if (readyAtMs === null || (first !== null && first.readyAtMs <= readyAtMs)) continue;
    first = { readyAtMs, createdAtMs: row.oldest_created_ms ?? readyAtMs };
  }
  if (first === null) return null;
  const { readyAtMs } = first;
  const proven = rows.every(
    (row) =>
      !hasMore(row) ||
      !missedBy(row).includes('ready') ||
      (row.look === 'ready-due' && row.horizon_ms !== null && readyAtMs <= row.horizon_ms),
  );
  return { ...first, bound: proven ? 'exact' : 'at-least' };
}

function workers(rows: readonly CountedRow[], { lockedBy }: Meaning): WorkersSample {
  const unseen = rows.some((row) => hasMore(row) && missedBy(row).includes('running'));
  const owners = new Set(rows.flatMap((row) => row.owners ?? []).filter((owner) => owner !== null));
  return {
    busy: lockedBy !== undefined && !unseen ? owners.size : null,
    total: null,
    lastSeenAtMs: newest(rows.flatMap((row) => [row.newest_start_ms, row.newest_beat_ms])),
  };
}

function newest(times: readonly (number | null)[]): number | null {
  return times.reduce((a, b) => (a === null || (b !== null && b > a) ? b : a), null);
}

function oldest(times: readonly (number | null)[]): number | null {
  return times.reduce((a, b) => (a === null || (b !== null && b < a) ? b : a), null);
}
