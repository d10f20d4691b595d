// What the tests of the Postal source share: a source for a user, and the truth by brute force over all rows.
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Count } from '../../src/core/count.ts';
import type { SourceSample, TenantSample } from '../../src/core/sample.ts';
import { databaseSchema } from '../../src/contract/settings.ts';
import type { DatabaseSettings } from '../../src/contract/settings.ts';
import { openPostal } from '../../src/main/sources/postal/postal-source.ts';
import type { PostalSourceOptions } from '../../src/main/sources/postal/postal-source.ts';
import type { Source } from '../../src/main/sources/source.ts';
import type { MariaDb } from '../harness/mariadb.ts';
import type { Reader } from '../harness/postal-schema.ts';

export const postalDefaults = { messageDatabasePrefix: 'postal-server-', staleLockHours: 24 };
export const never = new AbortController().signal;

export function databaseSettings(
  db: MariaDb,
  reader: { user: string },
  changes: Partial<DatabaseSettings> = {},
): DatabaseSettings {
  const given = { host: db.host, port: db.port, user: reader.user, database: 'postal', ...changes };
  return databaseSchema.parse(given);
}

export function sourceFor(db: MariaDb, reader: Reader, changes: Partial<PostalSourceOptions> = {}): Source {
  return openPostal({
    database: databaseSettings(db, reader),
    postal: postalDefaults,
    password: () => Promise.resolve(reader.password),
    now: () => Date.now(),
    ...changes,
  });
}

/** One tenant's numbers by their definitions, over all of its rows. */
export interface Truth {
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  oldestReadyAtMs: number | null;
  createdOfOldestMs: number | null;
  lastStartedAtMs: number | null;
  oldestRunningAtMs: number | null;
}

/** Reads every row of the queue and counts it as shared definitions say, at database time `nowMs`. */
export async function bruteForce(root: Connection, nowMs: number): Promise<Map<string, Truth>> {
  const [rows] = await root.query<RowDataPacket[]>('SELECT * FROM postal.queued_messages ORDER BY id');
  const truths = new Map<string, Truth>();
  const ms = (value: unknown) => (value instanceof Date ? value.getTime() : null);
  for (const row of rows) {
    const id = String(row['server_id']);
    const truth = truths.get(id) ?? nothing();
    truths.set(id, truth);
    const lockedAt = ms(row['locked_at']);
    const retryAfter = ms(row['retry_after']);
    const createdAt = ms(row['created_at']) ?? nowMs;
    if (lockedAt !== null) {
      truth.running += 1;
      if (truth.lastStartedAtMs === null || lockedAt > truth.lastStartedAtMs)
        truth.lastStartedAtMs = lockedAt;
      const isStale = nowMs - lockedAt > 24 * 3_600_000;
      if (isStale) truth.stale += 1;
      else if (truth.oldestRunningAtMs === null || lockedAt < truth.oldestRunningAtMs) {
        truth.oldestRunningAtMs = lockedAt;
      }
    } else if (retryAfter !== null && retryAfter >= nowMs) {
      truth.delayed += 1;
    } else {
      truth.ready += 1;
      const readyAt = Math.max(createdAt, retryAfter ?? createdAt);
      if (truth.oldestReadyAtMs === null || readyAt < truth.oldestReadyAtMs) {
        truth.oldestReadyAtMs = readyAt;
        truth.createdOfOldestMs = createdAt;
      }
    }
  }
  return truths;
}

export const nothing = (): Truth => ({
  ready: 0,
  delayed: 0,
  running: 0,
  stale: 0,
  oldestReadyAtMs: null,
  createdOfOldestMs: null,
  lastStartedAtMs: null,
  oldestRunningAtMs: null,
});

/** The sample's numbers in the shape of the truth, for tenants whose every number is exact. */
export function exactNumbers(tenant: TenantSample): Truth {
  const value = (count: Count) => {
    if (count.kind !== 'exact')
      throw new Error(`server ${tenant.tenantId}: ${JSON.stringify(count)} is not exact`);
    return count.value;
  };
  if (tenant.oldestReady !== null && tenant.oldestReady.bound !== 'exact') {
    throw new Error(`server ${tenant.tenantId}: the oldest ready row is not proven`);
  }
  return {
    ready: value(tenant.ready),
    delayed: value(tenant.delayed),
    running: value(tenant.running),
    stale: value(tenant.stale),
    oldestReadyAtMs: tenant.oldestReady?.readyAtMs ?? null,
    createdOfOldestMs: tenant.oldestReady?.createdAtMs ?? null,
    lastStartedAtMs: tenant.lastStartedAtMs,
    oldestRunningAtMs: tenant.oldestRunningAtMs,
  };
}

/** Why a number and its bound do not agree with the truth; null when they do. */
export function contradiction(count: Count, truth: number): string | null {
  const holds = {
    exact: count.value === truth,
    'at-least': count.value <= truth,
    // The optimiser's word holds within two times.
    estimate: count.value <= 2 * truth && truth <= 2 * count.value,
  }[count.kind];
  return holds ? null : `${JSON.stringify(count)} against ${truth}`;
}

export function tenantOf(sample: SourceSample, id: number): TenantSample {
  const tenant = sample.tenants.find((each) => each.tenantId === String(id));
  if (tenant === undefined) throw new Error(`server ${id} is not in the sample`);
  return tenant;
}
