// The first jobs of each group in MySQL and MariaDB. These take longer to plan a look at a tenant than to run it, so many tenants are
// glanced at in one statement a state, and only those that a glance does not settle are looked at one by one.
import { z } from 'zod';
import { atLeast, estimate } from '../../../../core/count.ts';
import type { MysqlSession } from '../../mysql-session.ts';
import type { PollDatabase } from './jobs-poll.ts';
import {
  HEAD_ROWS,
  liveStates,
  probes,
  type Dialect,
  type Group,
  type JobsIndex,
  type JobsTable,
} from './mapping-sql.ts';
import * as sql from './mysql-poll-sql.ts';
import { countedRow, type CountedRow } from './tenant-samples.ts';

const groupRow = z.object({
  place: z.number(),
  tenant: z.string(),
  ends_later: z.number().transform((value) => value !== 0),
});
/** A line of EXPLAIN, as far as it tells how many rows are expected. */
const explainRow = z.object({ id: z.coerce.number().nullable(), rows: z.coerce.number().nullable() });

const glanceRow = z.object({
  tenant: z.string(),
  ends_later: z.number(),
  told: z.string(),
  /** Of the first entry that has a time. */
  ready_ms: z.number().nullable(),
  created_ms: z.number().nullable(),
  /** Whether the last entries, as many as were asked for, are all later. */
  full_later: z.number().nullable(),
});

/** A statement glances at so many tenants, to stay within its time limit. */
const GLANCES_PER_STATEMENT = 2_500;

interface Place {
  dialect: Dialect;
  table: JobsTable;
  index: JobsIndex;
  tenantType: string;
}

export function mysqlPoll(place: Place): PollDatabase<MysqlSession> {
  const { dialect, table, index, tenantType } = place;
  return {
    groups: (on, signal) => on.rows(groupRow, sql.groups(dialect, table, index), signal),
    async heads(on, asked, most, signal) {
      const rows: CountedRow[] = [];
      let alone = asked;
      if (most < HEAD_ROWS.most) {
        alone = [];
        for (const [at, groups] of Map.groupBy(asked, (group) => group.place)) {
          const state = liveStates(table.mapping)[at] ?? '';
          const seen = await readTogether(on, place, { state, groups, most }, signal);
          const settled = new Set(seen.map(({ tenant }) => tenant));
          alone = [...alone, ...groups.filter(({ tenant }) => !settled.has(tenant))];
          rows.push(...seen);
        }
      }
      for (const statement of sql.heads(dialect, table, index, { groups: alone, tenantType, most })) {
        rows.push(...(await on.rows(countedRow, statement, signal)));
      }
      return rows;
    },
    depths: index.byReadyAt
      ? async (on, groups, signal) => {
          const statement = sql.dueEstimates(table, index, { groups, tenantType });
          return (await on.rows(explainRow, statement, signal)).flatMap(({ id, rows }) => {
            // EXPLAIN numbers the parts of a UNION from 1, in their order.
            const group = id === null ? undefined : groups[id - 1];
            if (group === undefined || rows === null) return [];
            return [{ tenant: group.tenant, ready: estimate(unbiased(rows)), delayed: atLeast(0) }];
          });
        }
      : null,
  };
}

/** What can be told of these groups of one state without a look at each. */
async function readTogether(
  session: MysqlSession,
  { dialect, table, index, tenantType }: Place,
  { state, groups, most }: { state: string; groups: readonly Group[]; most: number },
  signal: AbortSignal,
): Promise<CountedRow[]> {
  const look = probes(table).find((probe) => probe.state === state)?.look;
  if (look === undefined || look === 'ready') return [];
  if (look === 'running') {
    const wanted = new Set(groups.map(({ tenant }) => tenant));
    const atMost = HEAD_ROWS.inAll;
    const statement = sql.runningOfAll(dialect, table, index, { state, atMost });
    const rows = await session.rows(countedRow, statement, signal);
    // More than that run: which tenants were seen whole is not known.
    if (rows.reduce((sum, { seen }) => sum + seen, 0) >= atMost) return [];
    return rows.filter(({ tenant }) => wanted.has(tenant));
  }
  const isTimed = look === 'ready-due';
  const rows: CountedRow[] = [];
  for (let at = 0; at < groups.length; at += GLANCES_PER_STATEMENT) {
    // In the index's order, in which they were found.
    const some = groups.slice(at, at + GLANCES_PER_STATEMENT).map(({ tenant }) => tenant);
    const range = { from: some[0] ?? '', to: some.at(-1) ?? '' };
    const statement = sql.glance(dialect, table, index, { state, most, isTimed, ...range, tenantType });
    const own = new Set(some);
    for (const glance of await session.rows(glanceRow, statement, signal)) {
      if (own.has(glance.tenant)) rows.push(...(isTimed ? timed(glance, most) : untimed(glance, look, most)));
    }
  }
  return rows;
}

/** An estimate of so many rows is of few pages, which InnoDB counts. */
const COUNTED_ROWS = 1_000;
/** InnoDB doubles what it did not count, as it tends to come out too low; where it did not, that is twice too much. */
const unbiased = (rows: number): number => (rows <= COUNTED_ROWS ? rows : Math.round(rows / Math.SQRT2));

const NOTHING = {
  ...{ seen: 0, ready_jobs: 0, delayed_jobs: 0, running_jobs: 0, stale_jobs: 0, dead_jobs: 0 },
  ...{ oldest_ready_ms: null, oldest_created_ms: null, horizon_ms: null },
  ...{ newest_start_ms: null, oldest_start_ms: null, newest_beat_ms: null, owners: null },
};

function untimed(
  { tenant, told }: z.infer<typeof glanceRow>,
  look: CountedRow['look'],
  most: number,
): CountedRow[] {
  const seen = told === 'due' ? most : Number(told.split(' ')[0]);
  const counted = look === 'dead' ? { dead_jobs: seen } : { delayed_jobs: seen };
  return [{ ...NOTHING, tenant, look, most, seen, ...counted }];
}

/** None where the glance settles nothing: the first entry has no time, or is of a job that was created later than it was due. */
function timed(glance: z.infer<typeof glanceRow>, most: number): CountedRow[] {
  const { tenant, told, ready_ms: readyMs, created_ms: createdMs } = glance;
  const isFull = told === 'due';
  if (told === 'later' || told === 'untimed' || readyMs === null) return [];
  if (createdMs !== null && createdMs > readyMs) return [];
  const [due = NaN, all = NaN] = isFull ? [most, most] : told.split(' ').map(Number);
  if (isFull && glance.ends_later !== 0 && glance.full_later !== 1) return [];
  const later = isFull ? (glance.ends_later === 0 ? 0 : most) : all - due;
  const ready = { oldest_ready_ms: readyMs, oldest_created_ms: createdMs ?? readyMs, horizon_ms: readyMs };
  return [
    { ...NOTHING, tenant, look: 'ready-due', most, seen: due, ready_jobs: due, ...(due > 0 ? ready : {}) },
    {
      ...{ ...NOTHING, tenant, look: 'ready-later', most, seen: later, delayed_jobs: later },
      horizon_ms: readyMs,
    },
  ];
}
