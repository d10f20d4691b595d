// Alerts in the terms of Grafana and Alertmanager.
import { z } from 'zod';

export const severitySchema = z.enum(['warning', 'critical']);
export type Severity = z.infer<typeof severitySchema>;

export const alertStateSchema = z.enum(['normal', 'pending', 'firing', 'recovering', 'no-data', 'error']);
export type AlertState = z.infer<typeof alertStateSchema>;

/** What an alert is about. Ids are the source's; `name` is what a person reads. */
export const alertScopeSchema = z.object({
  kind: z.enum(['connection', 'tenant', 'kind', 'worker']),
  id: z.string(),
  name: z.string(),
});
export type AlertScope = z.infer<typeof alertScopeSchema>;

/** The metrics a rule can watch. A metric that a source does not yield leaves its rules without alerts. */
export const metricSchema = z.enum([
  'lag',
  'depth',
  'errorRate',
  'kindFailureRate',
  'stageP95',
  'workerMemory',
  'runningFor',
  'successRate',
  'deadSet',
  'staleLocks',
  'stalled',
  'stuck',
  'workersSeen',
  'unreachable',
  'canary',
]);
export type Metric = z.infer<typeof metricSchema>;

/** A rule: `value` beyond `warning` or `critical` (in the metric's unit) for `forMs` fires an alert. */
export const alertRuleSchema = z.object({
  id: metricSchema,
  title: z.string(),
  unit: z.enum(['ms', 'jobs', 'ratio', 'flag']),
  direction: z.enum(['above', 'below']),
  warning: z.number().nullable(),
  critical: z.number().nullable(),
  forMs: z.number().nonnegative(),
  keepFiringForMs: z.number().nonnegative(),
  enabled: z.boolean(),
});
export type AlertRule = z.infer<typeof alertRuleSchema>;

/** One alert: one rule and one scope. `id` is stable over repeats and restarts. */
export const alertSchema = z.object({
  id: z.string(),
  ruleId: metricSchema,
  ruleTitle: z.string(),
  connectionId: z.string(),
  connectionName: z.string(),
  scope: alertScopeSchema,
  state: alertStateSchema,
  severity: severitySchema.nullable(),
  unit: alertRuleSchema.shape.unit,
  value: z.number().nullable(),
  threshold: z.number().nullable(),
  /** When the present state began. */
  sinceMs: z.number(),
  /** When it last began to fire; null while it never has in this episode. */
  firedAtMs: z.number().nullable(),
  acknowledged: z.object({ by: z.string(), atMs: z.number() }).nullable(),
  cause: z.string().nullable(),
  /** Why the rule could not be evaluated (state `error`). */
  error: z.string().nullable(),
});
export type Alert = z.infer<typeof alertSchema>;

/** One change of state, as the timeline shows it. */
export const alertEventSchema = z.object({
  seq: z.int().nonnegative(),
  atMs: z.number(),
  alertId: z.string(),
  ruleId: metricSchema,
  connectionId: z.string(),
  scope: alertScopeSchema,
  from: alertStateSchema,
  to: alertStateSchema,
  severity: severitySchema.nullable(),
  value: z.number().nullable(),
  summary: z.string(),
});
export type AlertEvent = z.infer<typeof alertEventSchema>;
