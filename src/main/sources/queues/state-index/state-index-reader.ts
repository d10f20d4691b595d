// What the readers of River and Oban share: polls by the index by state, and lists. Each adds what its own tables tell.
import type { Capabilities } from '../../../../contract/capabilities.ts';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../../contract/queue-jobs.ts';
import { atLeast } from '../../../../core/count.ts';
import { nothingQueued, type TenantInfo, type TenantSample } from '../../../../core/sample.ts';
import type { WatchedTables } from '../../health/watched-tables.ts';
import type { PostgresSession } from '../../postgres-session.ts';
import type { QueueRead, QueueReader } from '../queue-reader.ts';
import { readJob, readJobs, readLocks, type ListNotes } from './job-lists.ts';
import { pollSample, type PollSample } from './poll-sample.ts';
import * as sql from './poll-sql.ts';
import { anyRow, groupsRow, pollRow } from './rows.ts';
import { mainIndex, type StateTable } from './state-table.ts';

/** What a system's own tables add to a poll. */
export interface Surroundings {
  /** Queues that are known beside those that have jobs, and which of them are paused. */
  queues: readonly { name: string; paused: TenantSample['paused'] }[];
  /** Newest sign of a leader, epoch ms; null when none is seen. */
  leaderSeenAtMs: number | null;
  /** In a sentence: who moves jobs whose time has come, or that nobody does. */
  mover: string;
}

export interface StateIndexParts {
  table: StateTable;
  system: string;
  claimOrder: string;
  capabilities: Capabilities;
  warnings: readonly string[];
  notes: ListNotes;
  locks: { rule: string; isTakenBack: boolean };
  watched: WatchedTables;
  /** Whether the jobs may be looked for at all: with the index, or in a table small enough to be scanned. */
  canPoll: boolean;
  surroundings: (session: PostgresSession, signal: AbortSignal) => Promise<Surroundings>;
}

/** So long after its time a job should have been made available: systems do it every few seconds. */
const UNMOVED_MS = 60_000;

export class StateIndexReader implements QueueReader<PostgresSession> {
  readonly system: string;
  readonly tenantWord = 'queue';
  readonly claimOrder: string;
  readonly capabilities: Capabilities;
  readonly #parts: StateIndexParts;
  /** Of the last poll. */
  #groups = 0;
  #passing: readonly string[] = [];

  private constructor(parts: StateIndexParts) {
    this.#parts = parts;
    this.system = parts.system;
    this.claimOrder = parts.claimOrder;
    this.capabilities = parts.capabilities;
  }

  /** Reads once, which shows that the account may read the tables, and which bounds hold. */
  static async open(
    parts: StateIndexParts,
    session: PostgresSession,
    signal: AbortSignal,
  ): Promise<StateIndexReader> {
    await session.rows(anyRow, sql.withoutCompiler, signal);
    const reader = new StateIndexReader(parts);
    if (parts.canPoll) {
      reader.#groups = (await session.row(groupsRow, sql.groupCount(parts.table), signal)).groups;
    }
    await reader.sample(session, signal);
    return reader;
  }

  get warnings(): readonly string[] {
    return [...this.#parts.warnings, ...this.#passing];
  }

  async tenants(session: PostgresSession, signal: AbortSignal): Promise<TenantInfo[]> {
    const { tenants } = await this.sample(session, signal);
    return tenants.map(({ tenantId }) => ({ id: tenantId, name: tenantId, detail: '' }));
  }

  async sample(session: PostgresSession, signal: AbortSignal): Promise<QueueRead> {
    const around = await this.#parts.surroundings(session, signal);
    const poll = await this.#poll(session, signal);
    this.#groups = poll.groups;
    this.#passing = this.#passingWarnings(poll, around);
    const tenants = new Map(poll.tenants);
    for (const { name, paused } of around.queues) {
      tenants.set(name, { ...(tenants.get(name) ?? this.#withoutJobs(name, poll.isCut)), paused });
    }
    const signs = [poll.lastSeenAtMs, around.leaderSeenAtMs].filter((at) => at !== null);
    return {
      databaseTimeMs: poll.databaseTimeMs,
      tenants: [...tenants.values()],
      workers: {
        busy: poll.busy,
        total: null,
        lastSeenAtMs: signs.length === 0 ? null : Math.min(poll.databaseTimeMs, Math.max(...signs)),
      },
      kinds: null,
      rowsRead: null,
    };
  }

  async #poll(session: PostgresSession, signal: AbortSignal): Promise<PollSample> {
    const { table, canPoll } = this.#parts;
    const plan = sql.pollPlan(this.#groups);
    const statement = canPoll ? sql.poll(table, plan) : sql.clockAlone;
    const sample = pollSample(await session.rows(pollRow, statement, signal), plan.limit, table);
    return canPoll ? sample : { ...sample, isCut: true, busy: null };
  }

  /** A queue without any job, as far as all of them were looked at. */
  #withoutJobs(name: string, isCut: boolean): TenantSample {
    const { blocked } = this.#parts.table.states;
    const count = isCut ? atLeast(0) : nothingQueued(name).ready;
    return {
      ...nothingQueued(name),
      ...{ ready: count, delayed: count, running: count, stale: count, dead: count },
      blocked: blocked === null ? null : count,
    };
  }

  #passingWarnings(poll: PollSample, { mover }: Surroundings): string[] {
    const { table, canPoll } = this.#parts;
    const { unmovedSinceMs, databaseTimeMs } = poll;
    const lateMs = unmovedSinceMs === null ? 0 : databaseTimeMs - unmovedSinceMs;
    return [
      ...(canPoll
        ? []
        : [
            `Nothing is counted for want of the index that ${table.system}'s claims need as much: ${mainIndex(table)}.`,
          ]),
      ...(canPoll && poll.isCut
        ? [
            `Only the first ${sql.GROUPS.toLocaleString('en')} groups of jobs (queue, state and priority) are looked into: counts are "at least", and queues late in the alphabet may be missing.`,
          ]
        : []),
      ...(lateMs > UNMOVED_MS
        ? [
            `Jobs whose time has come are counted as ready, but ${table.system} has not made them available for ${Math.floor(lateMs / 60_000)} min. ${mover}`,
          ]
        : []),
      ...(poll.unclaimable > 0
        ? [
            `${poll.unclaimable} or more available jobs have no attempts left: no claim takes them, and they may keep others of their queue from being claimed. Discard them in ${table.system}.`,
          ]
        : []),
    ];
  }

  jobs(session: PostgresSession, query: JobsQuery, signal: AbortSignal): Promise<JobsPage> {
    return readJobs(session, this.#parts.table, this.#parts.notes, query, signal);
  }

  job(session: PostgresSession, id: string, signal: AbortSignal): Promise<QueueJobDetail | null> {
    return readJob(session, this.#parts.table, id, signal);
  }

  locks(session: PostgresSession, query: LocksQuery, signal: AbortSignal): Promise<LocksPage> {
    return readLocks(session, this.#parts.table, this.#parts.locks, query, signal);
  }

  watched(): Promise<WatchedTables> {
    return Promise.resolve(this.#parts.watched);
  }
}
