// The alert rules as shipped, and how settings change them.
//
// `for` is short where the metric is judged over a window or is a duration itself (its threshold already is the
// patience), longer where it is a momentary count or a rate. `keep firing for` is longer than `for`, so that a
// value swinging around its level is one episode.
import type { AlertRule, Metric } from './alert.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** A flag is 0 or 1: beyond 0 is "yes". */
const YES = 0;

type Shipped = [
  id: Metric,
  title: string,
  unit: AlertRule['unit'],
  warning: number | null,
  critical: number | null,
  forMs: number,
  keepFiringForMs: number,
];

const table: Shipped[] = [
  ['lag', 'Lag of the oldest ready job', 'ms', 180 * SECOND, 300 * SECOND, 10 * SECOND, 30 * SECOND],
  ['depth', 'Queue depth', 'jobs', 100, 500, 30 * SECOND, MINUTE],
  ['errorRate', 'Error rate', 'ratio', 0.1, 0.2, MINUTE, 2 * MINUTE],
  ['kindFailureRate', 'Failure rate of a kind', 'ratio', 0.15, 0.3, MINUTE, 2 * MINUTE],
  ['stageP95', 'Stage time p95', 'ms', 2 * SECOND, 5 * SECOND, MINUTE, 2 * MINUTE],
  // More than 1 GB is critical whatever the limit: see workerMemoryRatio.
  ['workerMemory', 'Memory of a worker', 'ratio', 0.8, 0.9, 30 * SECOND, MINUTE],
  ['runningFor', 'Job running for', 'ms', 20 * MINUTE, 30 * MINUTE, 0, 10 * SECOND],
  ['successRate', 'Success rate over 1 h', 'ratio', null, 0.9, MINUTE, 5 * MINUTE],
  ['deadSet', 'Dead set', 'jobs', 1, null, 0, 10 * SECOND],
  ['staleLocks', 'Stale locks', 'jobs', 0, null, 10 * SECOND, 30 * SECOND],
  ['stalled', 'Stalled', 'flag', null, YES, 10 * SECOND, 30 * SECOND],
  ['stuck', 'Stuck', 'flag', YES, null, 10 * SECOND, 30 * SECOND],
  ['workersSeen', 'No worker seen for', 'ms', null, 5 * MINUTE, 0, 30 * SECOND],
  ['unreachable', 'Connection unreachable for', 'ms', 30 * SECOND, 120 * SECOND, 0, 10 * SECOND],
  ['canary', 'Canary end to end', 'ms', 180 * SECOND, 300 * SECOND, 10 * SECOND, 30 * SECOND],
];

/** The rules that Headway ships, in the order they are listed. A fresh copy each time. */
export function shippedRules(): AlertRule[] {
  return table.map(([id, title, unit, warning, critical, forMs, keepFiringForMs]) => ({
    id,
    title,
    unit,
    direction: id === 'successRate' ? 'below' : 'above',
    warning,
    critical,
    forMs,
    keepFiringForMs,
    enabled: true,
  }));
}

/** A change to a rule in the units of settings: seconds, jobs, a ratio from 0 to 1. Null takes a level away. */
interface RuleChange {
  enabled?: boolean | undefined;
  warning?: number | null | undefined;
  critical?: number | null | undefined;
  forSeconds?: number | undefined;
  keepFiringForSeconds?: number | undefined;
}
export type RuleChanges = Partial<Record<Metric, RuleChange | undefined>>;

/** The rules with layers of changes applied, later ones last (every connection's, then one connection's). */
export function changedRules(rules: readonly AlertRule[], ...layers: RuleChanges[]): AlertRule[] {
  return rules.map((rule) =>
    layers.reduce((changed, layer) => changedRule(changed, layer[rule.id] ?? {}), rule),
  );
}

/** The lag up to which a tenant counts as in time, ms: the first level of the lag rule. */
export function allowedLagMs(rules: readonly AlertRule[]): number {
  const lag = rules.find((rule) => rule.id === 'lag');
  return lag?.warning ?? lag?.critical ?? Infinity;
}

/**
 * The value for the rule on a worker's memory: the share of its limit, or of 1 GB once the worker is over that,
 * whichever is more. Null when it is under 1 GB and has no limit.
 */
export function workerMemoryRatio(rssBytes: number, limitBytes: number | null): number | null {
  const ofLimit = limitBytes === null ? null : rssBytes / limitBytes;
  const ofGigabyte = rssBytes / 1e9;
  return ofGigabyte > 1 ? Math.max(ofGigabyte, ofLimit ?? 0) : ofLimit;
}

function changedRule(rule: AlertRule, change: RuleChange): AlertRule {
  const level = (changed: number | null | undefined, present: number | null) => {
    if (changed === undefined) return present;
    if (changed === null) return null;
    // A flag has no level to move: any number switches the severity on.
    if (rule.unit === 'flag') return YES;
    return rule.unit === 'ms' ? changed * SECOND : changed;
  };
  const duration = (seconds: number | undefined, present: number) =>
    seconds === undefined ? present : seconds * SECOND;
  return {
    ...rule,
    enabled: change.enabled ?? rule.enabled,
    warning: level(change.warning, rule.warning),
    critical: level(change.critical, rule.critical),
    forMs: duration(change.forSeconds, rule.forMs),
    keepFiringForMs: duration(change.keepFiringForSeconds, rule.keepFiringForMs),
  };
}
