// What a monitor is made of: its options, and the services it is given.
import type { ConnectionSummary } from '../../contract/live.ts';
import type { LogLine } from '../../contract/logs.ts';
import type { AlertRule, Severity } from '../../core/alert.ts';
import type { HistoryStore } from '../history/history-store.ts';
import type { LogListener } from '../logs/log-events.ts';
import type { Source } from '../sources/source.ts';
import type { Clock } from './clock.ts';
import type { Observation } from './observations.ts';

export interface MonitorOptions {
  id: string;
  name: string;
  kind: ConnectionSummary['kind'];
  environment: ConnectionSummary['environment'];
  safety: ConnectionSummary['safety'];
  pollMs: number;
  budgetMs: number;
  timeoutMs: number;
  /** The sliding window that statuses are judged over. */
  windowMs: number;
  timingWindowMs: number;
  sparkBucketMs: number;
  /** Tenants, by id or name, that are watched end to end. */
  canaryTenants: readonly string[];
}

/** Something beside the source that runs while the monitor does: a log tail. */
export interface Input {
  start(): void;
  stop(): Promise<void>;
}

/** Where observations go; the alert service. */
export interface AlertSink {
  evaluate(
    connection: { id: string; name: string },
    rules: readonly AlertRule[],
    observations: readonly Observation[],
    nowMs: number,
    inhibited: boolean,
  ): void;
  standing(connectionId: string): { firing: number; worst: Severity | null };
}

/** Where log lines go to be found again; the log store. Returns at once, whatever the disk does. */
export interface LineSink {
  /** `mayBeOld`: some may have been handed over before, by a monitor that ran then. */
  append(connectionId: string, lines: readonly LogLine[], mayBeOld: boolean): void;
}

export interface MonitorParts {
  source: Source;
  /** The log tails, told where their lines go. */
  inputs: (listener: LogListener) => Input[];
  history: HistoryStore;
  lines: LineSink;
  alerts: AlertSink;
  /** The rules in force now. */
  rules: () => readonly AlertRule[];
  clock: Clock;
  random: () => number;
}
