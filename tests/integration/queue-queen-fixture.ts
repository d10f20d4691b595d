// What is true of Queen's partitions, by its definitions over all rows, and a server of the harness with its tables.
import type { Client } from 'pg';
import { expect } from 'vitest';
import { z } from 'zod';
import type { Count } from '../../src/core/count.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import type { Postgres } from '../harness/postgres.ts';
import { QUEUE_MODE } from '../harness/queen-schema.ts';
import { testQueueSource } from './queue-source-fixture.ts';

export const never = new AbortController().signal;
export const ODD = `it's "quoted" \\ 100%/day 📮; --`;

export function queenSource(
  server: Postgres,
  account: { user?: string; password?: string; statementTimeoutMs?: number } = {},
) {
  const { user = server.user, password = server.password, ...limits } = account;
  return testQueueSource({ server, system: 'queen', user, password, database: 'postgres', ...limits });
}

export function tenantOf(sample: SourceSample, id: string): TenantSample {
  const tenant = sample.tenants.find(({ tenantId }) => tenantId === id);
  if (!tenant) throw new Error(`no tenant ${id}`);
  return tenant;
}

const partitionRow = z.object({
  id: z.string(),
  queue: z.string(),
  partition: z.string(),
  delayMs: z.number(),
  windowMs: z.number(),
});
const groupRow = z.object({
  partition: z.string(),
  group: z.string(),
  cursorMs: z.number().nullable(),
  cursorId: z.string().nullable(),
  expiresMs: z.number().nullable(),
  acquiredMs: z.number().nullable(),
  held: z.number(),
  consumed: z.number(),
});
const messageRow = z.object({ id: z.string(), partition: z.string(), createdMs: z.number() });
const subscriptionRow = z.object({
  group: z.string(),
  queue: z.string(),
  partition: z.string(),
  atMs: z.number(),
});
const deadRow = z.object({ partition: z.string(), dead: z.number() });

export interface Truth {
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  dead: number;
  oldestReady: { readyAtMs: number; createdAtMs: number } | null;
  lastStartedAtMs: number | null;
  oldestRunningAtMs: number | null;
  attemptsTotal: number;
}

const ms = (sql: string) => `(extract(epoch FROM ${sql}) * 1000)::float8`;

/**
 * Reads every message and judges it for every consumer group of its partition, at database time `nowMs`: consumed, leased, delayed or ready. Ids
 * of version 7 make the creation's millisecond enough to compare with the id.
 */
export async function bruteForce(db: Client, nowMs: number): Promise<Map<string, Truth>> {
  const read = async <S extends z.ZodType>(row: S, sql: string): Promise<z.infer<S>[]> =>
    (await db.query(sql)).rows.map((raw) => row.parse(raw));
  const partitions = await read(
    partitionRow,
    `SELECT p.id, q.name AS queue, p.name AS partition, q.delayed_processing * 1000.0::float8 AS "delayMs",
            q.window_buffer * 1000.0::float8 AS "windowMs"
       FROM queen.partitions p JOIN queen.queues q ON q.id = p.queue_id`,
  );
  const groups = await read(
    groupRow,
    `SELECT partition_id AS partition, consumer_group AS group, ${ms('last_consumed_created_at')} AS "cursorMs",
            last_consumed_id AS "cursorId", ${ms('lease_expires_at')} AS "expiresMs", ${ms('lease_acquired_at')} AS "acquiredMs",
            CASE WHEN lease_expires_at IS NULL THEN 0 ELSE batch_size - acked_count END AS held,
            total_messages_consumed::float8 AS consumed FROM queen.partition_consumers`,
  );
  const messages = await read(
    messageRow,
    `SELECT id, partition_id AS partition, ${ms('created_at')} AS "createdMs" FROM queen.messages ORDER BY created_at, id`,
  );
  const subscriptions = await read(
    subscriptionRow,
    `SELECT consumer_group AS group, queue_name AS queue, partition_name AS partition, ${ms('subscription_timestamp')} AS "atMs"
       FROM queen.consumer_groups_metadata`,
  );
  const dead = new Map(
    (
      await read(
        deadRow,
        'SELECT partition_id AS partition, count(*)::int AS dead FROM queen.dead_letter_queue GROUP BY 1',
      )
    ).map((row) => [row.partition, row.dead]),
  );
  return new Map(
    partitions.map((partition) => {
      const own = messages.filter((message) => message.partition === partition.id);
      const subscribed = subscriptions.filter(
        ({ queue, partition: name }) => queue === partition.queue && ['', partition.partition].includes(name),
      );
      const beginOf = (group: string) =>
        subscribed
          .filter((each) => each.group === group)
          .sort((a, b) => b.partition.length - a.partition.length)
          .at(0)?.atMs ?? -Infinity;
      let consumers = groups.filter((group) => group.partition === partition.id);
      if (consumers.length === 0) {
        const names = [...new Set(subscribed.map(({ group }) => group))];
        consumers = (names.length === 0 ? [QUEUE_MODE] : names).map((group) => ({
          ...{ partition: partition.id, group, cursorMs: null, cursorId: null, expiresMs: null },
          ...{ acquiredMs: null, held: 0, consumed: 0 },
        }));
      }
      const truth: Truth = {
        ...{
          ready: 0,
          delayed: 0,
          running: 0,
          stale: 0,
          dead: dead.get(partition.id) ?? 0,
          oldestReady: null,
        },
        ...{ lastStartedAtMs: null, oldestRunningAtMs: null, attemptsTotal: 0 },
      };
      const quietAt =
        partition.windowMs > 0 ? (own.at(-1)?.createdMs ?? -Infinity) + partition.windowMs : -Infinity;
      for (const consumer of consumers) {
        truth.attemptsTotal += consumer.consumed;
        const begin = consumer.group === QUEUE_MODE ? -Infinity : beginOf(consumer.group);
        const pending = own.filter(({ createdMs, id }) =>
          consumer.cursorMs === null
            ? createdMs > begin
            : createdMs > consumer.cursorMs ||
              (createdMs === consumer.cursorMs && id > (consumer.cursorId ?? '')),
        );
        const isLive = consumer.expiresMs !== null && consumer.expiresMs > nowMs;
        if (isLive && consumer.held > 0 && consumer.acquiredMs !== null) {
          truth.lastStartedAtMs = Math.max(truth.lastStartedAtMs ?? -Infinity, consumer.acquiredMs);
          truth.oldestRunningAtMs = Math.min(truth.oldestRunningAtMs ?? Infinity, consumer.acquiredMs);
        }
        pending.forEach(({ createdMs }, nth) => {
          const isHeld = nth < consumer.held;
          if (isHeld && isLive) {
            truth.running += 1;
            return;
          }
          const freedAt = isHeld ? (consumer.expiresMs ?? -Infinity) : -Infinity;
          const readyAtMs = Math.max(createdMs + partition.delayMs, quietAt, freedAt);
          if (readyAtMs > nowMs) truth.delayed += 1;
          else {
            truth.ready += 1;
            const oldest = truth.oldestReady;
            if (
              oldest === null ||
              readyAtMs < oldest.readyAtMs ||
              (readyAtMs === oldest.readyAtMs && createdMs < oldest.createdAtMs)
            )
              truth.oldestReady = { readyAtMs, createdAtMs: createdMs };
          }
        });
      }
      const escaped = [partition.queue, partition.partition].map((name) =>
        name.replaceAll('%', '%25').replaceAll('/', '%2F'),
      );
      return [escaped.join('/'), truth];
    }),
  );
}

/** The sample's numbers in the shape of the truth; fails where one is not exact. */
export function exactNumbers(tenant: TenantSample): Truth {
  const value = (count: Count | null) => {
    expect(count?.kind, `${tenant.tenantId}: ${JSON.stringify(tenant)}`).toBe('exact');
    return count?.value ?? NaN;
  };
  const { oldestReady, lastStartedAtMs, oldestRunningAtMs, attemptsTotal } = tenant;
  if (oldestReady) expect(oldestReady.bound).toBe('exact');
  return {
    ...{ ready: value(tenant.ready), delayed: value(tenant.delayed), running: value(tenant.running) },
    ...{ stale: value(tenant.stale), dead: value(tenant.dead) },
    oldestReady: oldestReady && { readyAtMs: oldestReady.readyAtMs, createdAtMs: oldestReady.createdAtMs },
    ...{ lastStartedAtMs, oldestRunningAtMs, attemptsTotal: attemptsTotal ?? NaN },
  };
}

/** All numbers of all partitions are exact and true. */
export async function expectExact(db: Client, sample: SourceSample): Promise<Map<string, Truth>> {
  const truth = await bruteForce(db, sample.databaseTimeMs);
  expect(new Map(sample.tenants.map((tenant) => [tenant.tenantId, exactNumbers(tenant)]))).toEqual(truth);
  return truth;
}

/** Every number, exact or bounded, holds for the truth. */
export async function expectHolds(db: Client, sample: SourceSample): Promise<Map<string, Truth>> {
  const truth = await bruteForce(db, sample.databaseTimeMs);
  expect(sample.tenants.map(({ tenantId }) => tenantId).sort()).toEqual([...truth.keys()].sort());
  for (const tenant of sample.tenants) {
    const real = truth.get(tenant.tenantId);
    for (const state of ['ready', 'delayed', 'running', 'stale', 'dead'] as const) {
      const count = tenant[state];
      if (count?.kind === 'exact') expect(count.value, `${tenant.tenantId} ${state}`).toBe(real?.[state]);
      else expect(count?.value, `${tenant.tenantId} ${state}`).toBeLessThanOrEqual(real?.[state] ?? NaN);
    }
    const { oldestReady } = tenant;
    if (oldestReady?.bound === 'exact')
      expect(oldestReady.readyAtMs, tenant.tenantId).toBe(real?.oldestReady?.readyAtMs);
    else if (oldestReady)
      expect(oldestReady.readyAtMs, tenant.tenantId).toBeGreaterThanOrEqual(
        real?.oldestReady?.readyAtMs ?? NaN,
      );
  }
  return truth;
}
