// What the SQLite store shows: the same for the engine that works on the file and for one who only watches it. Rows are parsed,
// but for those of the circle, which every claim asks for.
import { z } from 'zod';
import { failedAttemptSchema, holdSchema } from '../../../contract/engine-report.ts';
import { exact } from '../../../core/count.ts';
import { errorClassSchema } from '../../../core/error-class.ts';
import type { Depths, FailedAttempt, JobRecord } from '../job.ts';
import { byteOrderKey } from './byte-order.ts';
import { sqliteList } from './sqlite-list.ts';
import type { ReadingStatements } from './sqlite-statements.ts';
import {
  FAILED_ATTEMPTS_KEPT,
  type BlockedJob,
  type DeadGroup,
  type Hold,
  type JobFilter,
  type JobsListed,
  type ListRequest,
  type Owner,
  type ReadyTenant,
} from './store.ts';

const kindRow = z.object({ id: z.int(), name: z.string() });
const tenantRow = z.object({
  tenant: z.string(),
  ready: z.int(),
  delayed: z.int(),
  waiting: z.int(),
  blocked: z.int(),
  running: z.int(),
  dead: z.int(),
  arrivals: z.int(),
  attempts: z.int(),
  last_started_at: z.int().nullable(),
});
const oldestReadyRow = z.object({ tenant: z.string(), id: z.int(), ready_at: z.int(), created_at: z.int() });
const oldestRunningRow = z.object({ tenant: z.string(), claimed_at: z.int() });
const frontRow = z.object({ id: z.int(), tenant: z.string() });
const ownerRow = z
  .object({ id: z.string(), beat_at: z.int(), report: z.string() })
  .transform((row): Owner => ({ id: row.id, beatAtMs: row.beat_at, report: row.report }));
const holdRow = z
  .object({
    tenant: z.string().nullable(),
    kind: z.string().nullable(),
    mode: z.string(),
    by: z.string(),
    reason: z.string(),
    since: z.number(),
  })
  .transform(({ tenant, since, ...row }): Hold =>
    holdSchema.parse({ ...row, tenantId: tenant, sinceMs: since }),
  );
const recordRow = z.object({
  id: z.int(),
  tenant: z.string(),
  kind: z.string(),
  state: z.enum(['ready', 'delayed', 'waiting', 'blocked', 'running', 'dead']),
  priority: z.int(),
  batch: z.string().nullable(),
  attempts: z.int(),
  max_attempts: z.int(),
  created_at: z.int(),
  ready_at: z.int(),
  claimed_at: z.int().nullable(),
  owner: z.string().nullable(),
  payload_bytes: z.int(),
  failures: z.int(),
  parents: z.int(),
});
const groupRow = z.object({
  kind: z.string(),
  cause: z.string(),
  class: errorClassSchema,
  count: z.int(),
  last_at: z.int(),
  newest: z.int(),
});
const toldRow = z.object({
  told: z.string().transform((text) => failedAttemptSchema.parse(JSON.parse(text))),
});

export class SqliteViews {
  readonly #sql: ReadingStatements;

  constructor(sql: ReadingStatements) {
    this.#sql = sql;
  }

  cursor(): string | null {
    return z.object({ cursor: z.string().nullable() }).parse(this.#sql.cursor.get()).cursor;
  }

  kinds(): { id: number; name: string }[] {
    return z.array(kindRow).parse(this.#sql.kinds.all());
  }

  owners(): Owner[] {
    return z.array(ownerRow).parse(this.#sql.owners.all());
  }

  holds(): Hold[] {
    return z.array(holdRow).parse(this.#sql.holds.all());
  }

  ready(kindIds: readonly number[], after: string | null, limit: number): ReadyTenant[] {
    const ahead = this.#walk(kindIds, after, limit);
    if (after === null || ahead.length >= limit) return ahead;
    // Around the circle, up to where the walk began.
    const key = byteOrderKey(after);
    const around = this.#walk(kindIds, null, limit - ahead.length);
    return [...ahead, ...around.filter(({ tenantId }) => byteOrderKey(tenantId) <= key)];
  }

  #walk(kindIds: readonly number[], after: string | null, limit: number): ReadyTenant[] {
    const walks = kindIds.map((kind) => {
      const { circleAfter, circleFromFirst } = this.#sql;
      const rows = after === null ? circleFromFirst.all(kind, limit) : circleAfter.all(kind, after, limit);
      // Our own statement on a STRICT table.
      return rows as unknown as { tenant: string; ready: number }[];
    });
    const [only] = walks;
    if (only && walks.length === 1)
      return only.map((row) => ({ tenantId: row.tenant, readyAtLeast: row.ready }));
    const tenants = new Map<string, ReadyTenant>();
    for (const { tenant, ready } of walks.flat()) {
      const known = tenants.get(tenant);
      if (known) known.readyAtLeast += ready;
      else tenants.set(tenant, { tenantId: tenant, readyAtLeast: ready });
    }
    const keys = new Map([...tenants.keys()].map((tenant) => [tenant, byteOrderKey(tenant)]));
    const keyOf = ({ tenantId }: ReadyTenant): string => keys.get(tenantId) ?? tenantId;
    return [...tenants.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)).slice(0, limit);
  }

  depths(frontLimit: number): Depths {
    const seen = this.#front(frontLimit + 1);
    const front = Map.groupBy(seen.slice(0, frontLimit), ({ tenant }) => tenant);
    const oldestReady = this.#oldestReady();
    const oldestRunning = new Map<string, number>();
    for (const { tenant, claimed_at } of z.array(oldestRunningRow).parse(this.#sql.oldestRunning.all()))
      oldestRunning.set(tenant, claimed_at);
    return {
      cursor: this.cursor(),
      // One more than asked for tells whether there are more.
      frontEndId: seen.length > frontLimit ? (seen[frontLimit - 1]?.id ?? 0) : null,
      tenants: z
        .array(tenantRow)
        .parse(this.#sql.tenants.all())
        .map(({ tenant, ...row }) => ({
          tenantId: tenant,
          ready: exact(row.ready),
          delayed: exact(row.delayed),
          running: exact(row.running),
          waiting: exact(row.waiting),
          blocked: exact(row.blocked),
          dead: exact(row.dead),
          oldestReady: oldestReady.get(tenant) ?? null,
          oldestRunningAtMs: oldestRunning.get(tenant) ?? null,
          lastStartedAtMs: row.last_started_at,
          arrivalsTotal: row.arrivals,
          attemptsTotal: row.attempts,
          frontIds: (front.get(tenant) ?? []).map(({ id }) => id),
        })),
    };
  }

  /** Of each tenant the one that has been ready longest, among those of its kinds and priorities. */
  #oldestReady(): Map<string, { id: number; readyAtMs: number; createdAtMs: number }> {
    const oldest = new Map<string, { id: number; readyAtMs: number; createdAtMs: number }>();
    for (const { tenant, id, ready_at, created_at } of z
      .array(oldestReadyRow)
      .parse(this.#sql.oldestReady.all())) {
      const known = oldest.get(tenant);
      if (!known || ready_at < known.readyAtMs || (ready_at === known.readyAtMs && id < known.id))
        oldest.set(tenant, { id, readyAtMs: ready_at, createdAtMs: created_at });
    }
    return oldest;
  }

  #front(limit: number): z.infer<typeof frontRow>[] {
    const ofKinds = this.kinds().flatMap(({ id }) => z.array(frontRow).parse(this.#sql.front.all(id, limit)));
    return ofKinds.sort((a, b) => a.id - b.id).slice(0, limit);
  }

  job(id: number): JobRecord | null {
    const row = this.#sql.record.get(id);
    return row ? this.#record(row) : null;
  }

  #record(raw: unknown): JobRecord {
    const row = recordRow.parse(raw);
    return {
      id: row.id,
      tenantId: row.tenant,
      kind: row.kind,
      state: row.state,
      priority: row.priority,
      batchId: row.batch,
      attempts: row.attempts,
      maxAttempts: row.max_attempts,
      createdAtMs: row.created_at,
      readyAtMs: row.ready_at,
      claimedAtMs: row.claimed_at,
      owner: row.owner,
      payloadBytes: row.payload_bytes,
      waitsFor:
        row.parents === 0 ? [] : this.#sql.parents.all(row.id).map((parent) => Number(parent['parent'])),
      failedAttempts: row.failures === 0 ? [] : this.#failedAttempts(row.id, FAILED_ATTEMPTS_KEPT),
    };
  }

  #failedAttempts(id: number, limit: number): FailedAttempt[] {
    return this.#sql.failedAttempts.all(id, limit).map((row) => toldRow.parse(row).told);
  }

  payload(id: number, limitChars: number): string | null {
    const row = this.#sql.payload.get(limitChars, id);
    return row ? z.object({ text: z.string() }).parse(row).text : null;
  }

  list(request: ListRequest): JobsListed {
    const kindIds = this.kinds().map(({ id }) => id);
    return sqliteList(this.#sql, (row) => this.#record(row), kindIds, request);
  }

  deadGroups(limit: number): DeadGroup[] {
    return this.#sql.deadGroups.all(limit).map((raw) => {
      const { newest, last_at: lastAtMs, ...group } = groupRow.parse(raw);
      const [last] = this.#failedAttempts(newest, 1);
      return { ...group, lastAtMs, example: last?.failure.message ?? group.cause };
    });
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): JobRecord[] {
    const statement = filter.ids ? this.#sql.deadAmong : this.#sql.dead;
    return statement.all(parameters(filter, afterId, limit)).map((row) => this.#record(row));
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): BlockedJob[] {
    return this.blockedRecords(filter, afterId, limit).map((job) => ({
      job,
      ancestorId: z.object({ id: z.int() }).parse(this.#sql.ancestor.get(job.id)).id,
    }));
  }

  blockedRecords(filter: JobFilter, afterId: number, limit: number): JobRecord[] {
    const statement = filter.ids ? this.#sql.blockedAmong : this.#sql.blocked;
    return statement.all(parameters(filter, afterId, limit)).map((row) => this.#record(row));
  }
}

function parameters(filter: JobFilter, after: number, limit: number): Record<string, string | number | null> {
  const { tenantId = null, kind = null, cause = null, ids } = filter;
  const all = { tenant: tenantId, kind, cause, after, limit };
  return ids ? { ...all, ids: JSON.stringify(ids) } : all;
}
