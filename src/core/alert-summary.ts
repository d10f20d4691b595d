// One line that says what an alert is about, for a notification, the timeline and a webhook.
import type { AlertRule, AlertState, Metric } from './alert.ts';
import { formatCount, formatDuration, formatPercent } from './duration.ts';
import { exact } from './count.ts';

export interface SummaryFacts {
  rule: Pick<AlertRule, 'id' | 'title' | 'unit'>;
  /** The scope as a person reads it: a tenant, a connection, a kind, a worker. */
  name: string;
  /** State that the alert has come to. */
  state: AlertState;
  value: number | null;
  /** The level that the value is or was beyond, in the rule's unit; null when there is none to tell. */
  threshold: number | null;
  /** Headline of the cause; null when there is none. */
  cause: string | null;
  /** Why the rule could not be evaluated (state `error`). */
  error: string | null;
}

/** "mailflow is 5m 12s late (threshold 3m 00s): behind edify (97 % of 9,812)" */
export function alertSummary({ rule, name, state, value, threshold, cause, error }: SummaryFacts): string {
  switch (state) {
    case 'error':
      return `${name}: the rule "${rule.title}" could not be evaluated${tail(error)}`;
    case 'no-data':
      return `${name}: no data for the rule "${rule.title}"`;
    case 'normal':
    case 'recovering':
      return calm[rule.id](name);
    case 'pending':
    case 'firing': {
      const trouble = troubles[rule.id](name, value === null ? null : formatValue(rule, value));
      const level =
        threshold === null || rule.unit === 'flag' ? '' : ` (threshold ${formatValue(rule, threshold)})`;
      return `${trouble}${level}${tail(cause)}`;
    }
  }
}

/** A value in the unit of its rule: "5m 12s", "1,204", "97 %". */
function formatValue(rule: Pick<AlertRule, 'unit'>, value: number): string {
  switch (rule.unit) {
    case 'ms':
      return formatDuration(value);
    case 'jobs':
      return formatCount(exact(value));
    case 'ratio':
      return formatPercent(value);
    case 'flag':
      return value > 0 ? 'yes' : 'no';
  }
}

/** What is wrong; the value is null when it is not known. */
const troubles: Record<Metric, (name: string, value: string | null) => string> = {
  lag: (name, value) => `${name} is ${value === null ? '' : `${value} `}late`,
  depth: (name, value) => `${name}: queue depth is ${value ?? 'too great'}`,
  errorRate: (name, value) => `${name}: ${value ?? 'too many'} of finished attempts failed`,
  kindFailureRate: (name, value) => `${name}: ${value ?? 'too many'} of this kind's jobs failed`,
  stageP95: (name, value) => `${name}: p95 is ${value ?? 'too long'}`,
  workerMemory: (name, value) => `${name} uses ${value ?? 'too much'} of its memory limit`,
  runningFor: (name, value) => `${name}: a job has been running for ${value ?? 'too long'}`,
  successRate: (name, value) => `${name}: only ${value ?? 'some'} of attempts succeeded in the last hour`,
  deadSet: (name, value) => `${name}: dead set holds ${value ?? 'several jobs'}`,
  staleLocks: (name, value) => `${name} has jobs with stale locks: ${value ?? 'several'}`,
  stalled: (name) => `${name} is stalled: jobs are ready and none is started`,
  stuck: (name) => `${name} is stuck: jobs are running and none is finished`,
  workersSeen: (name, value) => `${name}: no worker seen${value === null ? '' : ` for ${value}`}`,
  unreachable: (name, value) => `${name} is unreachable${value === null ? '' : ` for ${value}`}`,
  canary: (name, value) => `${name} takes ${value ?? 'too long'} from end to end`,
};

/** That it is over. */
const calm: Record<Metric, (name: string) => string> = {
  lag: (name) => `${name} is no longer late`,
  depth: (name) => `${name}: queue depth is no longer too great`,
  errorRate: (name) => `${name}: attempts no longer fail too often`,
  kindFailureRate: (name) => `${name}: jobs of this kind no longer fail too often`,
  stageP95: (name) => `${name}: p95 is no longer too long`,
  workerMemory: (name) => `${name} no longer uses too much memory`,
  runningFor: (name) => `${name}: no job has been running for too long any more`,
  successRate: (name) => `${name}: enough attempts succeed again`,
  deadSet: (name) => `${name}: dead set is no longer too large`,
  staleLocks: (name) => `${name} no longer has jobs with stale locks`,
  stalled: (name) => `${name} is no longer stalled`,
  stuck: (name) => `${name} is no longer stuck`,
  workersSeen: (name) => `${name}: workers are seen again`,
  unreachable: (name) => `${name} is reachable again`,
  canary: (name) => `${name} is fast enough from end to end again`,
};

function tail(reason: string | null): string {
  return reason === null || reason === '' ? '' : `: ${reason}`;
}
