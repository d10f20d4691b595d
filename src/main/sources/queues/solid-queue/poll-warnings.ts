// What a poll of Solid Queue could not see, and what would help.
import { silentAfter, type PollSample } from './poll-sample.ts';
import { LANES, QUEUES, WALK } from './poll-sql.ts';
import type { TableName } from './tables.ts';

/** `ddl` makes the statement that creates an index. */
export function pollWarnings(
  { cut, nobodyDispatches }: PollSample,
  more: { queues: boolean; lanes: boolean },
  ddl: (table: TableName, columns: readonly string[]) => string,
): string[] {
  const seen = (WALK - 1).toLocaleString('en');
  return [
    ...(cut.scheduled
      ? [
          `More than ${seen} jobs are scheduled: no index of Solid Queue leads from a queue to its own, so that those of each queue are "at least". This one would: ${ddl('scheduled_executions', ['queue_name', 'scheduled_at'])}.`,
        ]
      : []),
    ...(cut.blocked
      ? [
          `More than ${seen} jobs are blocked, and those of each queue are "at least". An index would tell: ${ddl('blocked_executions', ['queue_name'])}.`,
        ]
      : []),
    ...(cut.failed
      ? [
          `More than ${seen} jobs have failed, and those of each queue are "at least": failed jobs do not name their queue, and no index can help.`,
        ]
      : []),
    ...(more.queues
      ? [`There are more than ${QUEUES.toLocaleString('en')} queues; no more are watched.`]
      : []),
    ...(more.lanes
      ? [
          `Ready jobs have more than ${LANES.toLocaleString('en')} combinations of queue and priority; no more are counted.`,
        ]
      : []),
    ...(nobodyDispatches
      ? [
          `Scheduled jobs are due, and no dispatcher has given a sign of life for ${silentAfter}: until one does, no worker sees them.`,
        ]
      : []),
  ];
}
