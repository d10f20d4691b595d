// From the rows of one poll to what is known of each queue and of the workers, each number with its bound. Pure.
import { atLeast, exact, sumCounts, type Count } from '../../../../core/count.ts';
import { nothingQueued, type TenantSample } from '../../../../core/sample.ts';
import type { PollPart, PollRow } from './rows.ts';
import { GROUPS } from './poll-sql.ts';
import type { StateTable } from './state-table.ts';

export interface PollSample {
  databaseTimeMs: number;
  groups: number;
  /** Whether there were more groups than were looked into: then every number is a bound. */
  isCut: boolean;
  tenants: Map<string, TenantSample>;
  /** Distinct owners of jobs that run and are not stale; null where not all were seen. */
  busy: number | null;
  /** Newest start or end of a job. */
  lastSeenAtMs: number | null;
  /** Since when the oldest job lies there that the system should have made available, and did not; null when none does. */
  unmovedSinceMs: number | null;
  /** Available jobs that no claim takes, among those seen. */
  unclaimable: number;
}

/** `limit`: jobs that were read of each group at most. */
export function pollSample(rows: readonly PollRow[], limit: number, { states }: StateTable): PollSample {
  const of = <P extends PollRow['part']>(part: P): PollPart<P>[] =>
    rows.flatMap((row) => (row.part === part ? [row.data as PollPart<P>] : []));
  const clock = of('clock')[0] ?? { at: NaN, groups: 0 };
  const isCut = clock.groups > GROUPS;
  const count = (entries: number): Count => (entries < limit && !isCut ? exact : atLeast)(entries);
  const byQueue = <R extends { queue: string }>(list: readonly R[]) =>
    Map.groupBy(list, ({ queue }) => queue);
  const waiting = byQueue(of('waiting'));
  const running = byQueue(of('running'));
  const kept = byQueue(of('kept'));
  const tenants = new Map(
    [...new Set([...waiting.keys(), ...running.keys(), ...kept.keys()])].map(
      (queue): [string, TenantSample] => {
        const own = waiting.get(queue) ?? [];
        const runs = running.get(queue) ?? [];
        const ofState = (word: string | null) =>
          word === null
            ? null
            : sum(
                (kept.get(queue) ?? []).filter(({ state }) => state === word),
                ({ entries }) => count(entries),
                isCut,
              );
        return [
          queue,
          {
            ...nothingQueued(queue),
            ready: sum(own, ({ ready, due_whole }) => (due_whole ? exact : atLeast)(ready), isCut),
            delayed: sum(own, ({ later, later_whole }) => (later_whole ? exact : atLeast)(later), isCut),
            oldestReady: oldestReady(own, isCut),
            running: sum(runs, ({ entries }) => count(entries), isCut),
            stale: sum(runs, ({ stale, entries }) => boundBy(count(entries), stale), isCut),
            lastStartedAtMs: newest(runs.map(({ newest_at }) => newest_at)),
            oldestRunningAtMs: oldest(runs.map(({ oldest_at }) => oldest_at)),
            dead: ofState(states.dead),
            blocked: ofState(states.blocked),
          },
        ];
      },
    ),
  );
  const runs = of('running');
  return {
    databaseTimeMs: clock.at,
    groups: clock.groups,
    isCut,
    tenants,
    busy:
      isCut || runs.some(({ entries }) => entries >= limit)
        ? null
        : new Set(runs.flatMap(({ owners }) => owners)).size,
    lastSeenAtMs: newest([...runs.map(({ newest_at }) => newest_at), ...of('ended').map(({ at }) => at)]),
    unmovedSinceMs: oldest(
      of('waiting').flatMap(({ state, ready_at }) => (state === states.available ? [] : [ready_at])),
    ),
    unclaimable: of('waiting').reduce((total, { due, ready }) => total + due - ready, 0),
  };
}

function sum<R>(rows: readonly R[], of: (row: R) => Count, isCut: boolean): Count {
  return sumCounts([...(isCut ? [atLeast(0)] : []), ...rows.map(of)]);
}

/** Another number of the same look, known as well as the look was whole. */
const boundBy = ({ kind }: Count, value: number): Count => ({ value, kind });

/** Jobs come by their scheduled time and are ready no sooner: what was not seen of a group is younger than its last one. */
function oldestReady(rows: readonly PollPart<'waiting'>[], isCut: boolean): TenantSample['oldestReady'] {
  let found: { readyAtMs: number; createdAtMs: number } | null = null;
  for (const { ready_at, created_at } of rows) {
    if (ready_at === null || created_at === null) continue;
    if (found === null || ready_at < found.readyAtMs)
      found = { readyAtMs: ready_at, createdAtMs: created_at };
  }
  if (found === null) return null;
  const { readyAtMs } = found;
  const isProven =
    !isCut &&
    rows.every(({ due_whole, seen_until }) => due_whole || (seen_until !== null && readyAtMs <= seen_until));
  return { ...found, bound: isProven ? 'exact' : 'at-least' };
}

const known = (times: readonly (number | null)[]): number[] => times.filter((time) => time !== null);
const extreme =
  (pick: (...values: number[]) => number) =>
  (times: readonly (number | null)[]): number | null =>
    known(times).length === 0 ? null : pick(...known(times));
const newest = extreme(Math.max);
const oldest = extreme(Math.min);
