// What the windows show of a connection now: one row a tenant, totals, and the connection's own state.
import { z } from 'zod';
import { severitySchema } from '../core/alert.ts';
import { causeSchema } from '../core/cause.ts';
import { countSchema } from '../core/count.ts';
import { tenantStatusSchema } from '../core/status.ts';
import { timeToEmptySchema } from '../core/time-to-empty.ts';
import { wireErrorSchema } from './errors.ts';
import { environmentSchema, safetySchema } from './settings.ts';

export const tenantRowSchema = z.object({
  id: z.string(),
  name: z.string(),
  detail: z.string(),
  status: tenantStatusSchema,
  /** How long the status has held; epoch ms, local clock. */
  statusSinceMs: z.number(),
  severity: severitySchema.nullable(),
  cause: causeSchema.nullable(),
  /** Age of the oldest ready job in ms; null when not measured. */
  lagMs: z.number().nullable(),
  lagBound: z.enum(['exact', 'at-least']),
  /** Age since creation of that same job; null when nothing is ready. */
  ageMs: z.number().nullable(),
  trend: z.enum(['rising', 'falling', 'steady']).nullable(),
  ready: countSchema,
  delayed: countSchema,
  running: countSchema,
  stale: countSchema,
  /** Null where the system does not tell. */
  dead: countSchema.nullable(),
  blocked: countSchema.nullable(),
  /** Per second over the window; null when not known. `approximate`: from differences of samples. */
  arrivalsPerS: z.number().nullable(),
  attemptsPerS: z.number().nullable(),
  ratesApproximate: z.boolean(),
  /** p95 of the whole run over the timing window; null without at least 20 observations. */
  runP95Ms: z.number().nullable(),
  errorRate: z.number().nullable(),
  timeToEmpty: timeToEmptySchema,
  behind: z
    .object({
      ahead: countSchema,
      tenants: z.array(z.object({ id: z.string(), name: z.string(), share: z.number() })),
    })
    .nullable(),
  paused: z.object({ by: z.string(), sinceMs: z.number().nullable(), reason: z.string() }).nullable(),
  /** Largest lag per bucket of `sparkBucketMs`, oldest first; null where nothing was measured. */
  spark: z.array(z.number().nullable()).readonly(),
});
export type TenantRow = z.infer<typeof tenantRowSchema>;

/** The groups that the totals count and the window filters by. */
export const groups = ['late', 'stalled', 'ok', 'no-data'] as const;
export type Group = (typeof groups)[number];

const stalledStatuses: ReadonlySet<TenantRow['status']> = new Set(['stopped', 'stalled', 'stuck']);

/**
 * The one group of a row. Late: the lag is over a threshold now. Stalled: work is there and nothing moves. The
 * totals and the filter share it, so that a number shows the rows it counts.
 */
export function groupOf(row: Pick<TenantRow, 'status' | 'severity'>): Group {
  if (row.status === 'no-data') return 'no-data';
  if (stalledStatuses.has(row.status)) return 'stalled';
  return row.severity === null ? 'ok' : 'late';
}

export const connectionStateSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('connecting'), sinceMs: z.number() }),
  z.object({ kind: z.literal('live'), sinceMs: z.number() }),
  z.object({
    kind: z.literal('unreachable'),
    sinceMs: z.number(),
    error: wireErrorSchema,
    nextTryAtMs: z.number(),
  }),
  /** Cannot work until somebody changes something: wrong schema, missing secret. */
  z.object({ kind: z.literal('failed'), sinceMs: z.number(), error: wireErrorSchema }),
]);
export type ConnectionState = z.infer<typeof connectionStateSchema>;

export const logHostStateSchema = z.object({
  /** `user@host:port input`, as a chip shows it. */
  label: z.string(),
  state: z.enum(['connecting', 'live', 'waiting-for-file', 'reconnecting', 'failed']),
  sinceMs: z.number(),
  error: wireErrorSchema.nullable(),
});
export type LogHostState = z.infer<typeof logHostStateSchema>;

export const connectionSummarySchema = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(['postal', 'local-engine', 'engine', 'queue']),
  environment: environmentSchema,
  safety: safetySchema,
  /** What this source calls its tenants, singular: "server", "partition", "queue". */
  tenantWord: z.string(),
  state: connectionStateSchema,
  logHosts: z.array(logHostStateSchema),
  worst: severitySchema.nullable(),
  firing: z.int().nonnegative(),
  late: z.int().nonnegative(),
});
export type ConnectionSummary = z.infer<typeof connectionSummarySchema>;

export const overviewTotalsSchema = z.object({
  late: z.int(),
  stalled: z.int(),
  ok: z.int(),
  noData: z.int(),
  worst: z.object({ tenantId: z.string(), name: z.string(), lagMs: z.number() }).nullable(),
  inPerMin: z.number().nullable(),
  outPerMin: z.number().nullable(),
  timeToEmpty: timeToEmptySchema,
  ready: countSchema,
  running: countSchema,
});

/** The heading of an overview: when it was measured, by which clock, at what cost. */
export const overviewHeadSchema = z.object({
  connection: connectionSummarySchema,
  /** Local time of the newest sample; null before the first. */
  asOfMs: z.number().nullable(),
  clock: z.object({ offsetMs: z.number(), errorMs: z.number() }).nullable(),
  pollEveryMs: z.number(),
  /** Why polls are slower than configured; null when they are not. */
  pollNote: z.string().nullable(),
  cost: z.object({ msPerMin: z.number(), rowsPerMin: z.number().nullable() }).nullable(),
  workers: z.object({
    busy: z.number().nullable(),
    total: z.number().nullable(),
    lastSeenMs: z.number().nullable(),
  }),
  windowMs: z.number(),
  /** Time left until the window is full; 0 when it is. */
  warmingUpMs: z.number(),
  sparkBucketMs: z.number(),
  claimOrder: z.string().nullable(),
  totals: overviewTotalsSchema,
});
export type OverviewHead = z.infer<typeof overviewHeadSchema>;

export const overviewSchema = z.object({ head: overviewHeadSchema, rows: z.array(tenantRowSchema) });
export type Overview = z.infer<typeof overviewSchema>;

/** Only what changed: fields of known rows, whole rows of new ones. */
export const overviewDeltaSchema = z.object({
  head: overviewHeadSchema.optional(),
  changed: z.array(tenantRowSchema.partial().extend({ id: z.string() })),
  removed: z.array(z.string()),
});
export type OverviewDelta = z.infer<typeof overviewDeltaSchema>;

/** The rows after a delta, by tenant id. Mutates and returns `rows`; a changed row is a new object. */
export function applyRows(rows: Map<string, TenantRow>, delta: OverviewDelta): Map<string, TenantRow> {
  for (const id of delta.removed) rows.delete(id);
  for (const change of delta.changed) {
    // A row unknown so far arrives whole: the backend sends parts only of rows in its last snapshot.
    rows.set(change.id, { ...rows.get(change.id), ...change } as TenantRow);
  }
  return rows;
}
