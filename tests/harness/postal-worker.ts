// One thread of a simulated Postal worker: claims as Postal does, sleeps where Postal would work.
//
//   idle ──claim──▶ leader locked ──lock batch──▶ work them one after another ──▶ idle (at once if it worked,
//   after 5 s if there was nothing)
import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseAway } from './database-away.ts';
import type { PostalLog } from './postal-log.ts';
import type { Message, PostalMessages } from './postal-messages.ts';
import type { PostalQueue, QueuedMessage } from './postal-queue.ts';
import { drawStageTimes, STAGES } from './postal-service.ts';
import type { ServiceModel, StageTimes } from './postal-service.ts';

const IDLE_MS = 5000;
const MAXIMUM_ATTEMPTS = 18;
const BATCH_LIMIT = 100;

/** One finished attempt, as the thread saw it on its own clock. */
export interface Attempt {
  serverId: number;
  messageId: number;
  queueId: number;
  queuedAtMs: number;
  startedAtMs: number;
  finishedAtMs: number;
  status: 'Sent' | 'SoftFail' | 'HardFail';
}

export interface WorkerThreadOptions {
  queue: PostalQueue;
  messages: PostalMessages;
  log: PostalLog;
  service: ServiceModel;
  /** `host:H pid:P`; the thread adds its own number. */
  processName: string;
  thread: number;
  ipAddressIds: readonly number[];
  batching: boolean;
  speed: number;
  now: () => number;
  random: () => number;
  onAttempt: (attempt: Attempt) => void;
}

export class PostalWorkerThread {
  readonly #o: WorkerThreadOptions;
  readonly #tags: Record<string, string | number>;

  constructor(options: WorkerThreadOptions) {
    this.#o = options;
    this.#tags = { component: 'worker', thread: `work${options.thread}` };
  }

  /**
   * Works until `stop` (what it holds is finished, as on SIGTERM) or `kill` (what it holds stays locked in the
   * database, as on SIGKILL). While the database is away, the loop logs it and goes on, as in Postal.
   */
  async run(stop: AbortSignal, kill: AbortSignal): Promise<void> {
    while (!stop.aborted && !kill.aborted) {
      let worked = false;
      try {
        worked = await this.#tick(kill);
      } catch (error) {
        // Killed in the middle of a delivery.
        if (error instanceof Error && error.name === 'AbortError') return;
        if (!isDatabaseAway(error)) throw error;
        this.#o.log.write('ERROR', String(error), this.#tags);
      }
      if (!worked) await pause(IDLE_MS / this.#o.speed, AbortSignal.any([stop, kill]));
    }
  }

  async #tick(kill: AbortSignal): Promise<boolean> {
    const { queue, log, now, random, thread } = this.#o;
    const locker = `${this.#o.processName} thread:${1000 + thread}`;
    const leader = await queue.claim(
      { by: `${locker} ${hex(random, 16)}`, at: new Date(now()) },
      this.#o.ipAddressIds,
    );
    if (leader === null) return false;
    const tags = { ...this.#tags, original_queued_message: leader.id };
    log.write('INFO', 'starting message unqueue', tags);
    log.write('INFO', `queue latency is ${(now() - leader.created_at.getTime()) / 1000}s`, tags);
    const batch = this.#o.batching
      ? await queue.lockBatch(leader, { by: locker, at: new Date(now()) }, BATCH_LIMIT)
      : [];
    if (this.#o.batching) {
      const text = `found ${batch.length} associated messages to process at the same time`;
      log.write('INFO', text, { ...tags, batch_key: leader.batch_key ?? '' });
    }
    for (const message of [leader, ...batch]) {
      await this.#process(message, { ...tags, queued_message: message.id }, kill);
    }
    log.write('INFO', 'finished message unqueue', tags);
    return true;
  }

  async #process(
    queued: QueuedMessage,
    tags: Record<string, string | number>,
    kill: AbortSignal,
  ): Promise<void> {
    const { queue, messages, log, now } = this.#o;
    const startedAtMs = now();
    const message = await messages.find(queued.server_id, queued.message_id);
    if (message === null) {
      log.write('INFO', 'unqueue because backend message has been removed.', tags);
      await queue.remove(queued.id);
      return;
    }
    const { stages, failed } = await this.#deliver(queued, message, kill);
    const totalMs = now() - startedAtMs;
    const status = !failed ? 'Sent' : queued.attempts + 1 >= MAXIMUM_ATTEMPTS ? 'HardFail' : 'SoftFail';
    await messages.addDelivery(
      queued.server_id,
      message.id,
      {
        status,
        code: failed ? 451 : 250,
        output: failed ? '451 4.3.0 Temporary failure, try again later' : '250 2.0.0 OK',
        details: failed ? 'Temporary SMTP delivery error' : 'Message accepted by the receiving server',
        timeSeconds: totalMs / 1000,
      },
      now(),
    );
    if (status === 'SoftFail') await queue.retryLater(queued, now());
    else await queue.remove(queued.id);
    const finishedAtMs = now();
    log.timing(
      {
        messageId: message.id,
        serverId: queued.server_id,
        queueId: queued.id,
        domain: queued.domain,
        startedAtMs,
        sizeBytes: message.size,
        stages,
        totalMs: finishedAtMs - startedAtMs,
        error: failed ? '451 4.3.0 Temporary failure, try again later' : null,
      },
      tags,
    );
    this.#o.onAttempt({
      serverId: queued.server_id,
      messageId: message.id,
      queueId: queued.id,
      queuedAtMs: queued.created_at.getTime(),
      startedAtMs,
      finishedAtMs,
      status,
    });
  }

  /** Passes through the stages; the times are those that passed, not those that were drawn. */
  async #deliver(queued: QueuedMessage, message: Message, kill: AbortSignal) {
    const { service, speed, random, now } = this.#o;
    const { meanMs, failureRate } = service({
      serverId: queued.server_id,
      domain: queued.domain,
      sizeBytes: message.size,
    });
    const drawn = drawStageTimes(meanMs, speed, random);
    const stages: StageTimes = { load: 0, inspect: 0, dkim: 0, deliver: 0 };
    for (const stage of STAGES) {
      const beginMs = performance.now();
      if (stage === 'deliver') await this.#o.messages.countLive(queued.server_id, now());
      await sleep(drawn[stage], undefined, { signal: kill });
      stages[stage] = performance.now() - beginMs;
    }
    return { stages, failed: random() < failureRate };
  }
}

/** Sleeps unless or until the signal aborts; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** `length` random hexadecimal digits. */
export function hex(random: () => number, length: number): string {
  return Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join('');
}
