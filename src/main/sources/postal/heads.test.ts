import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../core/seeded-random.ts';
import { queueSample, readyAtMs, rowState } from './heads.ts';
import type { Moment, QueuedRow, QueueRead } from './heads.ts';

const HOUR = 3_600_000;
const moment: Moment = { nowMs: 1_800_000_000_000, staleAfterMs: 24 * HOUR };
const { nowMs } = moment;
const row = (change: Partial<QueuedRow> = {}): QueuedRow => ({
  id: 1,
  lockedBy: null,
  lockedAtMs: null,
  retryAfterMs: null,
  createdAtMs: nowMs - HOUR,
  ...change,
});
/** What a poll reads of a queue, by its definition: the first 201, and of a longer one the last 50. */
function readOf(queue: QueuedRow[], estimatedRows: number | null = queue.length): QueueRead {
  const more = queue.length >= 201;
  return {
    tenantId: '7',
    head: queue.slice(0, 201),
    tail: more ? queue.slice(-50) : [],
    more,
    estimatedRows,
  };
}

describe('state of a row', () => {
  it.each([
    ['never tried', {}, 'ready'],
    ['its retry time has passed', { retryAfterMs: nowMs - 1 }, 'ready'],
    ['its retry time is now', { retryAfterMs: nowMs }, 'delayed'],
    ['waits for its retry', { retryAfterMs: nowMs + 1 }, 'delayed'],
    ['locked', { lockedBy: 'a', lockedAtMs: nowMs - 1 }, 'running'],
    ['locked on a retry', { lockedBy: 'a', lockedAtMs: nowMs - 1, retryAfterMs: nowMs + 1 }, 'running'],
    ['locked for exactly a day', { lockedBy: 'a', lockedAtMs: nowMs - 24 * HOUR }, 'running'],
    ['locked for longer than a day', { lockedBy: 'a', lockedAtMs: nowMs - 24 * HOUR - 1 }, 'stale'],
    ['locked by somebody at no time', { lockedBy: 'a' }, 'running'],
    ['locked by nobody at some time', { lockedAtMs: nowMs - 5 }, 'running'],
  ] as const)('%s', (_, change, state) => {
    expect(rowState(row(change), moment)).toBe(state);
  });

  it('is ready since the later of creation and retry', () => {
    expect(readyAtMs(row())).toBe(nowMs - HOUR);
    expect(readyAtMs(row({ retryAfterMs: nowMs - 5 }))).toBe(nowMs - 5);
    expect(readyAtMs(row({ retryAfterMs: nowMs - 2 * HOUR }))).toBe(nowMs - HOUR);
  });
});

/** A queue as months of traffic leave it: ids and creation times grow together, retries lie anywhere. */
function randomQueue(seed: number): QueuedRow[] {
  const random = seededRandom(seed);
  const size = Math.floor(random() ** 2 * 900);
  const shares = {
    delayed: random() ** 2,
    retried: random() ** 2,
    locked: random() ** 3,
    stale: random() ** 3,
  };
  // After an outage of the far side every old row was tried, and is due about now.
  const outage = random() < 0.3;
  let createdAtMs = nowMs - 30 * HOUR;
  return Array.from({ length: size }, (_, index) => {
    createdAtMs += Math.floor(random() * ((30 * HOUR) / size));
    const change: Partial<QueuedRow> = {};
    if (outage && index < 230) change.retryAfterMs = nowMs + Math.floor((random() - 0.4) * 120_000);
    else if (random() < shares.retried)
      change.retryAfterMs = createdAtMs + Math.floor(random() * (nowMs - createdAtMs));
    else if (random() < shares.delayed) change.retryAfterMs = nowMs + Math.floor(random() * HOUR);
    // Locks gather at the front, where the claim takes from.
    if (random() < shares.locked && index < 260) {
      change.lockedBy = `thread ${index % 3}`;
      change.lockedAtMs = nowMs - Math.floor(random() * 1000) - (random() < shares.stale ? 25 * HOUR : 0);
    }
    return row({ id: index * 3 + 1, createdAtMs, ...change });
  });
}

function truthOf(queue: QueuedRow[]) {
  const is = (state: string) => queue.filter((each) => rowState(each, moment) === state);
  const ready = is('ready').map(readyAtMs);
  const running = is('running').map((each) => each.lockedAtMs ?? NaN);
  const started = [...running, ...is('stale').map((each) => each.lockedAtMs ?? NaN)];
  return {
    ready: ready.length,
    delayed: is('delayed').length,
    running: started.length,
    stale: is('stale').length,
    oldestReadyAtMs: ready.length === 0 ? null : Math.min(...ready),
    lastStartedAtMs: started.length === 0 ? null : Math.max(...started),
    oldestRunningAtMs: running.length === 0 ? null : Math.min(...running),
  };
}

describe('what head and tail prove', () => {
  it('equals brute force over all rows, or says by its bound how it may differ', () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 600; seed++) {
      const queue = randomQueue(seed);
      const truth = truthOf(queue);
      const sample = queueSample(readOf(queue), moment);
      for (const state of ['ready', 'delayed', 'running', 'stale'] as const) {
        const { value, kind } = sample[state];
        seen.add(`${state} ${kind}`);
        if (kind === 'exact') expect(value, `seed ${seed} ${state}`).toBe(truth[state]);
        if (kind === 'at-least') expect(value, `seed ${seed} ${state}`).toBeLessThanOrEqual(truth[state]);
      }
      const { oldestReady } = sample;
      seen.add(`oldest ${oldestReady?.bound ?? 'none'}`);
      if (oldestReady?.bound === 'exact') expect(oldestReady.readyAtMs).toBe(truth.oldestReadyAtMs);
      if (oldestReady?.bound === 'at-least') {
        expect(oldestReady.readyAtMs).toBeGreaterThanOrEqual(truth.oldestReadyAtMs ?? Infinity);
      }
      if (oldestReady === null && sample.ready.kind === 'exact') expect(truth.oldestReadyAtMs).toBeNull();
      if (queue.length <= 250) {
        expect(sample).toMatchObject({
          lastStartedAtMs: truth.lastStartedAtMs,
          oldestRunningAtMs: truth.oldestRunningAtMs,
        });
        expect(sample.ready.kind).toBe('exact');
      }
    }
    // The queues above bring every kind of answer about.
    expect([...seen].sort()).toEqual(
      [
        ...['exact', 'at-least', 'estimate'].flatMap((kind) => [`ready ${kind}`, `delayed ${kind}`]),
        ...['exact', 'at-least'].flatMap((kind) => [`running ${kind}`, `stale ${kind}`, `oldest ${kind}`]),
        'oldest none',
      ].sort(),
    );
  });

  it('judges unseen rows by the newest ones: retries gather at the head', () => {
    const retries = Array.from({ length: 190 }, (_, i) => row({ id: i, retryAfterMs: nowMs + HOUR }));
    const burst = Array.from({ length: 10_000 }, (_, i) => row({ id: 1000 + i }));
    const sample = queueSample(readOf([...retries, ...burst]), moment);
    expect(sample.ready).toEqual({ value: 10_000, kind: 'estimate' });
    expect(sample.delayed).toEqual({ value: 190, kind: 'at-least' });
  });

  it('never claims fewer rows than it saw, whatever the optimiser says', () => {
    const queue = Array.from({ length: 5000 }, (_, i) => row({ id: i }));
    expect(queueSample(readOf(queue, 3), moment).ready).toEqual({ value: 251, kind: 'at-least' });
    expect(queueSample(readOf(queue, null), moment).ready).toEqual({ value: 251, kind: 'at-least' });
  });

  it('reports a ready row beyond a head of delayed ones as a lower bound', () => {
    const delayed = Array.from({ length: 300 }, (_, i) => row({ id: i, retryAfterMs: nowMs + HOUR }));
    const ready = Array.from({ length: 40 }, (_, i) => row({ id: 300 + i, createdAtMs: nowMs - 1000 + i }));
    const sample = queueSample(readOf([...delayed, ...ready]), moment);
    expect(sample.oldestReady).toEqual({
      readyAtMs: nowMs - 1000,
      createdAtMs: nowMs - 1000,
      bound: 'at-least',
    });
  });
});
