// The Postal source: mail servers are its tenants, queued messages its jobs. This folder reads Postal's main
// database and its message databases on MariaDB or MySQL; it never writes.
import { noDetails } from '../not-yet.ts';
import type { SourceSample, TenantInfo } from '../../../core/sample.ts';
import { HeadwayError } from '../../../contract/errors.ts';
import type { PostalConnection, DatabaseSettings } from '../../../contract/settings.ts';
import { MysqlSession } from '../mysql-session.ts';
import type { Probe, Source } from '../source.ts';
import { behindOfLatest, CLAIM_ORDER } from './claim-order.ts';
import { readClock } from './database-clock.ts';
import { queueSample, rowsSeen } from './heads.ts';
import { MessageDatabases } from './message-databases.ts';
import type { MessageTotals } from './message-databases.ts';
import { inspectSchema } from './postal-schema.ts';
import type { PostalAccess } from './postal-schema.ts';
import { queueRead, readQueues } from './read-queues.ts';
import * as rows from './rows.ts';
import * as sql from './sql.ts';
import { workersSample } from './workers.ts';

export interface PostalSourceOptions {
  database: DatabaseSettings;
  postal: PostalConnection['postal'];
  /** Resolved; null when the account has none. */
  password: string | null;
  /** Local clock, epoch ms. */
  now: () => number;
  /** The server stops any statement that runs longer (default 500). */
  statementTimeoutMs?: number;
  /** A whole call fails with `timeout` after this long (default 10,000). */
  callTimeoutMs?: number;
}

/** A session and what it may read. */
interface Opened {
  session: MysqlSession;
  access: PostalAccess;
  /** The session's handler reads at the end of the last snapshot. */
  readsSoFar: number;
}

export class PostalSource implements Source {
  readonly details = noDetails;
  readonly #options: PostalSourceOptions;
  readonly #messages: MessageDatabases;
  readonly #disposed = new AbortController();
  #opened: Opened | null = null;
  /** Owners of queued rows that are not among the servers any more; looked for when names are. */
  #orphans: number[] = [];

  constructor(options: PostalSourceOptions) {
    this.#options = options;
    this.#messages = new MessageDatabases(options.postal.messageDatabasePrefix);
  }

  probe(signal: AbortSignal): Promise<Probe> {
    return this.#call(signal, async ({ session, access }, limit) => {
      const servers = await session.rows(rows.serverRow, sql.servers(access.organizations), limit);
      const live = servers.filter((server) => !server.deleted).map((server) => server.id);
      const readable = await this.#messages.find(session, live, limit);
      return {
        system: `Postal on ${session.server.product} ${session.server.version}`,
        tenantWord: 'server',
        warnings: [...access.warnings, ...this.#messages.warnings(live, readable, session.server.account)],
      };
    });
  }

  tenants(signal: AbortSignal): Promise<TenantInfo[]> {
    return this.#call(signal, async ({ session, access }, limit) => {
      const servers = await session.rows(rows.serverRow, sql.servers(access.organizations), limit);
      const owners = await this.#findOwners(session, access, limit);
      const shown = servers.filter((server) => !server.deleted || owners.has(server.id));
      this.#orphans = [...owners].filter((id) => !servers.some((server) => server.id === id));
      await this.#messages.find(
        session,
        shown.map((server) => server.id),
        limit,
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
    });
  }

  snapshot(signal: AbortSignal): Promise<SourceSample> {
    return this.#call(signal, async (opened, limit) => {
      const { session, access } = opened;
      const startedMs = this.#options.now();
      const servers = await session.rows(rows.queueOwnerRow, sql.queueOwners(access.index), limit);
      const owning = servers.filter((server) => server.first_id !== null).map((server) => server.id);
      const idle = servers.filter((server) => server.first_id === null && !server.deleted);
      const owners = [...owning, ...this.#orphans];
      const serverIds = [...owners, ...idle.map((server) => server.id)];

      const queues = await readQueues(session, access.index, owners, limit);
      // After the rows, so that none of them lies in the clock's future.
      const clock = await readClock(session, access, this.#options.now, limit);
      const totals = await this.#messages.totals(session, serverIds, limit);

      const moment = { nowMs: clock.nowMs, staleAfterMs: this.#options.postal.staleLockHours * 3_600_000 };
      const sampled = serverIds.map((id) => {
        const read = queueRead(id, queues, clock.nowMs);
        return { id, read, sample: queueSample(read, moment) };
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
        workerMemory: null,
        claimOrder: CLAIM_ORDER,
        cost: {
          rowsRead: await readsSinceLast(opened, limit),
          durationMs: Math.max(0, this.#options.now() - startedMs),
        },
      };
    });
  }

  /** Closes the connection; a call under way rejects with `cancelled`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort();
    const opened = this.#opened;
    this.#opened = null;
    await opened?.session[Symbol.asyncDispose]();
  }

  /** Runs `work` on the open session, or on a new one after a loss, within the time limit of a call. */
  async #call<T>(signal: AbortSignal, work: (opened: Opened, limit: AbortSignal) => Promise<T>): Promise<T> {
    const limit = AbortSignal.any([
      signal,
      this.#disposed.signal,
      AbortSignal.timeout(this.#options.callTimeoutMs ?? 10_000),
    ]);
    if (this.#opened?.session.lost === true) this.#opened = null;
    this.#opened ??= await this.#open(limit);
    return work(this.#opened, limit);
  }

  async #open(limit: AbortSignal): Promise<Opened> {
    const { database, password, statementTimeoutMs = 500 } = this.#options;
    const session = await MysqlSession.open({ settings: database, password, statementTimeoutMs }, limit);
    try {
      return { session, access: await inspectSchema(session, database, limit), readsSoFar: 0 };
    } catch (error) {
      // A grant given in the meantime is seen by new connections only.
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Every id in queued_messages.server_id. When that is too dear just now, the servers that own rows. */
  async #findOwners(session: MysqlSession, access: PostalAccess, limit: AbortSignal): Promise<Set<number>> {
    try {
      const owners = await session.rows(rows.ownerRow, sql.owners(access.index), limit);
      return new Set(owners.map((owner) => owner.id).filter((id) => id !== null));
    } catch (error) {
      if (!(error instanceof HeadwayError && error.code === 'budget-exceeded')) throw error;
      const servers = await session.rows(rows.queueOwnerRow, sql.queueOwners(access.index), limit);
      const owning = servers.filter((server) => server.first_id !== null).map((server) => server.id);
      return new Set([...owning, ...this.#orphans]);
    }
  }
}

/** What the session has read since the last snapshot: this one, and the look for names if one came between. */
async function readsSinceLast(opened: Opened, limit: AbortSignal): Promise<number> {
  const counters = await opened.session.rows(rows.statusRow, sql.handlerReads, limit);
  const reads = counters.reduce((sum, counter) => sum + counter.Value, 0);
  const since = reads - opened.readsSoFar;
  opened.readsSoFar = reads;
  return since;
}

function newestDelivery(totals: Map<number, MessageTotals>): number | null {
  let newest: number | null = null;
  for (const { lastDeliveryAtMs } of totals.values()) {
    if (lastDeliveryAtMs !== null && (newest === null || lastDeliveryAtMs > newest))
      newest = lastDeliveryAtMs;
  }
  return newest;
}
