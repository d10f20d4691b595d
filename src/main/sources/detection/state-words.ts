// What the values of a state column mean, by the words that people use for them.
import type { JobsMapping } from '../../../contract/settings.ts';

export type JobState = keyof JobsMapping['states'];

/** In snake case; the order is that in which a mapping lists them. */
const words: Readonly<Record<JobState, readonly string[]>> = {
  ready: [
    ...['queued', 'pending', 'ready', 'new', 'created', 'waiting', 'enqueued', 'available', 'todo', 'to_do'],
    ...[
      'open',
      'submitted',
      'unprocessed',
      'not_started',
      'initial',
      'requeued',
      'retry',
      'inserted',
      'idle',
    ],
  ],
  running: [
    ...['processing', 'running', 'in_progress', 'inprogress', 'active', 'started', 'working', 'busy'],
    ...[
      'executing',
      'claimed',
      'locked',
      'reserved',
      'leased',
      'picked',
      'acquired',
      'dispatched',
      'sending',
    ],
    ...['in_flight', 'assigned', 'taken'],
  ],
  delayed: [
    ...['scheduled', 'delayed', 'deferred', 'retryable', 'retrying', 'snoozed', 'backoff', 'future'],
    ...['waiting_retry', 'retry_later', 'to_retry', 'postponed'],
  ],
  held: [
    ...['paused', 'held', 'hold', 'on_hold', 'suspended', 'blocked', 'parked', 'stopped', 'manual'],
    ...['awaiting_approval', 'draft', 'disabled', 'frozen', 'quarantined'],
  ],
  dead: [
    ...['error', 'failed', 'errored', 'dead', 'discarded', 'failure', 'exhausted', 'rejected', 'expired'],
    ...['timed_out', 'timeout', 'dead_letter', 'killed', 'crashed', 'fatal', 'bounced', 'undeliverable'],
  ],
  done: [
    ...['done', 'completed', 'complete', 'succeeded', 'success', 'successful', 'finished', 'processed', 'ok'],
    ...['sent', 'delivered', 'closed', 'archived', 'cancelled', 'canceled', 'aborted', 'skipped', 'deleted'],
    ...['ignored', 'obsolete', 'superseded'],
  ],
};

export const jobStates = Object.keys(words) as JobState[];

/** "InProgress", "in progress" and "IN-PROGRESS" are one word. */
export const snakeCase = (text: string): string =>
  text
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^\p{L}\p{N}]+/gu, '_')
    .replaceAll(/^_+|_+$/g, '')
    .toLowerCase();

/** What a value means; null where no word tells. */
export function meaningOf(value: string): JobState | null {
  const word = snakeCase(value);
  const meaning = jobStates.find((state) => words[state].includes(word));
  if (meaning !== undefined) return meaning;
  // "job_failed", "status_done", "email_sent"
  const last = word.slice(word.lastIndexOf('_') + 1);
  return word.includes('_') ? (jobStates.find((state) => words[state].includes(last)) ?? null) : null;
}

/** The place of a value among those of its meaning. */
export function placeOf(value: string): number {
  const word = snakeCase(value);
  const place = jobStates.map((state) => words[state].indexOf(word)).find((at) => at >= 0);
  return place ?? 100;
}

/**
 * What a comment says of values that are numbers: "0 = queued, 1: running, 2 - done". The words by value.
 */
export function valuesInComment(comment: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, value = '', word = ''] of comment.matchAll(
    /(?<![\p{L}\p{N}])(\d{1,4})\s*(?:[:=-]|=>|->|means|is)\s*['"]?([\p{L}][\p{L}_ -]*[\p{L}])/gu,
  ))
    found.set(value, word.trim());
  return found;
}
