// Reads one Postal on one session: its servers as tenants, the ends of their queues as samples.
import { HeadwayError } from '../../../contract/errors.ts';
import type {
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJobDetail,
} from '../../../contract/queue-jobs.ts';
import type { DatabaseSettings, PostalConnection } from '../../../contract/settings.ts';
import type { TenantInfo } from '../../../core/sample.ts';
import type { WatchedTables } from '../health/watched-tables.ts';
import type { MysqlSession } from '../mysql-session.ts';
import { DepthMemory } from '../queues/depth-memory.ts';
import type { QueueRead, QueueReader } from '../queues/queue-reader.ts';
import { postalCapabilities } from './capabilities.ts';
import { behindOfLatest, CLAIM_ORDER } from './claim-order.ts';
import { readClock } from './database-clock.ts';
import { queueSample, rowsSeen } from './heads.ts';
import { jobDetail } from './job-detail.ts';
import { jobsPage, locksPage } from './job-lists.ts';
import type { MessageDatabases, MessageTotals } from './message-databases.ts';
import { inspectSchema, type PostalAccess } from './postal-schema.ts';
import { queueRead, readQueues } from './read-queues.ts';
import * as rows from './rows.ts';
import * as sql from './sql.ts';
import { watchedTables } from './watched.ts';
import { workersSample } from './workers.ts';

export interface PostalPlace {
  database: DatabaseSettings;
  postal: PostalConnection['postal'];
  messages: MessageDatabases;
  /** Local clock, epoch ms. */
  now: () => number;
}

/** Rejects like inspectSchema. */
export async function inspectPostal(
  session: MysqlSession,
  place: PostalPlace,
  signal: AbortSignal,
): Promise<QueueReader<MysqlSession>> {
  const access = await inspectSchema(session, place.database, signal);
  const servers = await session.rows(rows.serverRow, sql.servers(access.organizations), signal);
  const live = servers.filter((server) => !server.deleted).map((server) => server.id);
  const readable = await place.messages.find(session, live, signal);
  return new PostalReader(place, access, [
    ...access.warnings,
    ...place.messages.warnings(live, readable, session.server.account),
  ]);
}

class PostalReader implements QueueReader<MysqlSession> {
  readonly system = 'Postal';
  readonly tenantWord = 'server';
  readonly claimOrder = CLAIM_ORDER;
  readonly capabilities = postalCapabilities;
  readonly warnings: readonly string[];
  readonly #place: PostalPlace;
  readonly #access: PostalAccess;
  /** Owners of queued rows that are not among the servers any more; looked for when names are. */
  #orphans: number[] = [];
  readonly #depths = new DepthMemory<number>(sql.DEEPER_PER_POLL);
  /** The session's handler reads at the end of the last poll. */
  #readsSoFar = 0;

  constructor(place: PostalPlace, access: PostalAccess, warnings: readonly string[]) {
    this.#place = place;
    this.#access = access;
    this.warnings = warnings;
  }

  async tenants(session: MysqlSession, signal: AbortSignal): Promise<TenantInfo[]> {
    const servers = await session.rows(rows.serverRow, sql.servers(this.#access.organizations), signal);
    const owners = await this.#findOwners(session, signal);
    const shown = servers.filter((server) => !server.deleted || owners.has(server.id));
    this.#orphans = [...owners].filter((id) => !servers.some((server) => server.id === id));
    await this.#place.messages.find(
      session,
      shown.map((server) => server.id),
      signal,
    );
    return [
      ...shown.map((server) => ({
        id: String(server.id),
        name: server.name ?? `server ${server.id}`,
        detail: [server.organization, server.permalink, server.deleted ? 'deleted' : null]
          .filter((part) => part !== null && part !== '')
          .join(' / '),
      })),
      ...this.#orphans.map((id) => ({
        id: String(id),
        name: `server ${id}`,
        detail: 'no longer among the servers',
      })),
    ];
  }

  async sample(session: MysqlSession, signal: AbortSignal): Promise<QueueRead> {
    const { index } = this.#access;
    const { messages, now, postal } = this.#place;
    const servers = await session.rows(rows.queueOwnerRow, sql.queueOwners(index), signal);
    const owning = servers.filter((server) => server.first_id !== null).map((server) => server.id);
    const idle = servers.filter((server) => server.first_id === null && !server.deleted);
    const owners = [...owning, ...this.#orphans];
    const serverIds = [...owners, ...idle.map((server) => server.id)];

    const queues = await readQueues(session, index, owners, (long) => this.#depths.pick(long), signal);
    // After the rows, so that none of them lies in the clock's future.
    const clock = await readClock(session, this.#access, now, signal);
    const totals = await messages.totals(session, serverIds, signal);

    const moment = { nowMs: clock.nowMs, staleAfterMs: postal.staleLockHours * 3_600_000 };
    const sampled = serverIds.map((id) => {
      const read = queueRead(id, queues, clock.nowMs);
      const sample = queueSample(read, moment);
      if (queues.unlooked.has(id))
        return { id, read, sample: { ...sample, ...this.#depths.recall(id, sample) } };
      if (read.more) this.#depths.learn(id, sample);
      return { id, read, sample };
    });
    const behind = behindOfLatest(sampled, moment);
    return {
      databaseTimeMs: clock.nowMs,
      clock: { offsetMs: clock.offsetMs, errorMs: clock.errorMs },
      tenants: sampled.map(({ id, sample }) => ({
        ...sample,
        // Nothing in the queue tells: dead mail has no row there.
        dead: null,
        blocked: null,
        arrivalsTotal: totals.get(id)?.arrivals ?? null,
        attemptsTotal: totals.get(id)?.attempts ?? null,
        behind: behind.get(sample.tenantId) ?? null,
        // Postal's suspension is no pause: it turns queued mail into held mail for good.
        paused: null,
      })),
      workers: workersSample(
        sampled.flatMap(({ read }) => rowsSeen(read).rows),
        moment,
        { leaderSeenAtMs: clock.leaderSeenAtMs, lastDeliveryAtMs: newestDelivery(totals) },
      ),
      kinds: null,
      rowsRead: await this.#readsSinceLast(session, signal),
    };
  }

  jobs(session: MysqlSession, query: JobsQuery, signal: AbortSignal): Promise<JobsPage> {
    return jobsPage(session, this.#look(), query, signal);
  }

  job(session: MysqlSession, id: string, signal: AbortSignal): Promise<QueueJobDetail | null> {
    return jobDetail(session, this.#look(), id, signal);
  }

  locks(session: MysqlSession, query: LocksQuery, signal: AbortSignal): Promise<LocksPage> {
    return locksPage(session, this.#look(), query, signal);
  }

  watched(): Promise<WatchedTables> {
    return Promise.resolve(watchedTables(this.#place.database.database, this.#access.index));
  }

  #look() {
    return { index: this.#access.index, messages: this.#place.messages, postal: this.#place.postal };
  }

  /** Every id in queued_messages.server_id. When that is too dear just now, the servers that own rows. */
  async #findOwners(session: MysqlSession, signal: AbortSignal): Promise<Set<number>> {
    const { index } = this.#access;
    try {
      const owners = await session.rows(rows.ownerRow, sql.owners(index), signal);
      return new Set(owners.map((owner) => owner.id).filter((id) => id !== null));
    } catch (error) {
      if (!(error instanceof HeadwayError && error.code === 'budget-exceeded')) throw error;
      const servers = await session.rows(rows.queueOwnerRow, sql.queueOwners(index), signal);
      const owning = servers.filter((server) => server.first_id !== null).map((server) => server.id);
      return new Set([...owning, ...this.#orphans]);
    }
  }

  /** What the session has read since the last poll: this one, and the look for names if one came between. */
  async #readsSinceLast(session: MysqlSession, signal: AbortSignal): Promise<number> {
    const counters = await session.rows(rows.statusRow, sql.handlerReads, signal);
    const reads = counters.reduce((sum, counter) => sum + counter.Value, 0);
    const since = reads - this.#readsSoFar;
    this.#readsSoFar = reads;
    return since;
  }
}

function newestDelivery(totals: Map<number, MessageTotals>): number | null {
  let newest: number | null = null;
  for (const { lastDeliveryAtMs } of totals.values()) {
    if (lastDeliveryAtMs !== null && (newest === null || lastDeliveryAtMs > newest))
      newest = lastDeliveryAtMs;
  }
  return newest;
}
