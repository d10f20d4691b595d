// A Postal at work: messages arrive and simulated workers deliver them, against a real MariaDB.
import mysql from 'mysql2/promise';
import type { Pool } from 'mysql2/promise';
import { isDatabaseAway } from './database-away.ts';
import { PostalLog } from './postal-log.ts';
import { PostalMessages } from './postal-messages.ts';
import { PostalQueue } from './postal-queue.ts';
import type { Postal } from './postal-schema.ts';
import { incident1Service } from './postal-service.ts';
import type { ServiceModel } from './postal-service.ts';
import { hex, pause, PostalWorkerThread } from './postal-worker.ts';
import type { Attempt } from './postal-worker.ts';

/** A stream of messages of one server. */
export interface Arrivals {
  serverId: number;
  /** Mean rate in life; `speed` multiplies it. */
  perSecond: number;
  /** `poisson` (default): exponential gaps. `fixed`: equal gaps, the first one of random length. */
  pattern?: 'poisson' | 'fixed';
}

export interface PostalWorkloadOptions {
  postal: Postal;
  /** Worker threads (default 2, Postal's own default). */
  threads?: number;
  arrivals?: Arrivals[];
  /** The worker's log; without it none is written. */
  logFile?: string;
  /** Take siblings of the same batch_key along (default true, as Postal). */
  batching?: boolean;
  /** Ids of ip_addresses that the worker's host has (default none). */
  ipAddressIds?: number[];
  service?: ServiceModel;
  /** Plays everything this many times faster than life (default 1). */
  speed?: number;
  /** The clock of the worker's host, epoch ms; one that is off shows what clock skew does. */
  now?: () => number;
  /** Uniform in [0, 1). */
  random?: () => number;
  onAttempt?: (attempt: Attempt) => void;
}

export interface EnqueueOptions {
  count?: number;
  /** Domain of the n-th recipient; messages to one domain are batched (default: one of 20). */
  domain?: (n: number) => string;
  sizeBytes?: number;
  subject?: string;
  ipAddressId?: number | null;
}

/** What one message became on arrival. */
export interface Enqueued {
  serverId: number;
  messageId: number;
  queueId: number;
}

export class PostalWorkload implements AsyncDisposable {
  readonly #o: Required<Pick<PostalWorkloadOptions, 'speed' | 'now' | 'random'>> & PostalWorkloadOptions;
  readonly #pool: Pool;
  readonly #queue: PostalQueue;
  readonly #messages: PostalMessages;
  readonly #log: PostalLog;
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();
  readonly #tasks: Promise<void>[];
  readonly #failures: unknown[] = [];
  #ended: Promise<void> | null = null;

  /** Starts at once. */
  constructor(options: PostalWorkloadOptions) {
    this.#o = { speed: 1, now: Date.now, random: Math.random, ...options };
    const { postal, speed, now, random } = this.#o;
    const threads = options.threads ?? 2;
    this.#pool = mysql.createPool({
      host: postal.db.host,
      port: postal.db.port,
      user: postal.db.rootUser,
      password: postal.db.rootPassword,
      database: postal.database,
      timezone: 'Z',
      connectionLimit: threads + 4,
    });
    this.#queue = new PostalQueue(this.#pool, speed);
    this.#messages = new PostalMessages(this.#pool, (id) => postal.messageDatabase(id));
    this.#log = new PostalLog(options.logFile ?? null, now);
    const processName = 'host:worker-1 pid:4711';
    const workers = Array.from({ length: threads }, (_, thread) =>
      new PostalWorkerThread({
        queue: this.#queue,
        messages: this.#messages,
        log: this.#log,
        service: options.service ?? incident1Service,
        processName,
        thread,
        ipAddressIds: options.ipAddressIds ?? [],
        batching: options.batching ?? true,
        speed,
        now,
        random,
        onAttempt: options.onAttempt ?? (() => undefined),
      }).run(this.#stop.signal, this.#kill.signal),
    );
    const arrivals = (options.arrivals ?? []).map((stream) => this.#arrive(stream));
    const leading = threads === 0 ? [] : [this.#lead(processName)];
    this.#tasks = [...workers, ...arrivals, ...leading].map((task) =>
      task.catch((error: unknown) => {
        this.#failures.push(error);
        this.#kill.abort();
      }),
    );
  }

  /** Adds messages to a server's queue now, in the order of their numbers. */
  async enqueue(serverId: number, options: EnqueueOptions = {}): Promise<Enqueued[]> {
    const { now, random } = this.#o;
    const added: Enqueued[] = [];
    for (let n = 0; n < (options.count ?? 1); n++) {
      const domain = options.domain?.(n) ?? `example-${Math.floor(random() * 20)}.org`;
      const messageId = await this.#messages.add(
        serverId,
        {
          token: hex(random, 12),
          rcptTo: `someone@${domain}`,
          subject: options.subject ?? 'A message',
          sizeBytes: options.sizeBytes ?? Math.floor(2_000 * 50 ** random()),
        },
        now(),
      );
      const ipAddressId = options.ipAddressId ?? null;
      const queueId = await this.#queue.add({ serverId, messageId, domain, ipAddressId }, now());
      added.push({ serverId, messageId, queueId });
    }
    return added;
  }

  /** Resolves when no message waits and none is worked on; those that wait for a retry do not count. */
  async drained(signal?: AbortSignal): Promise<void> {
    for (;;) {
      signal?.throwIfAborted();
      this.#throwFailure();
      const [rows] = await this.#pool.query<mysql.RowDataPacket[]>(
        'SELECT 1 FROM queued_messages WHERE locked_at IS NOT NULL OR retry_after IS NULL LIMIT 1',
      );
      if (rows.length === 0) return;
      await pause(50, signal ?? this.#kill.signal);
    }
  }

  /**
   * As SIGTERM: no more arrivals and claims; what is held is finished and the log is complete. Rejects when the
   * workload had to end because of a mistake in itself.
   */
  async stop(): Promise<void> {
    this.#stop.abort();
    await (this.#ended ??= this.#end());
  }

  /** As SIGKILL: what is held stays locked in the database. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill.abort();
    await this.stop();
  }

  async #end(): Promise<void> {
    await using closing = new AsyncDisposableStack();
    closing.defer(() => this.#pool.end());
    await Promise.all(this.#tasks);
    await this.#log.flush();
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failures.length > 0) throw new Error('the workload failed', { cause: this.#failures[0] });
  }

  async #arrive(stream: Arrivals): Promise<void> {
    const { speed, random } = this.#o;
    const gapMs = 1000 / (stream.perSecond * speed);
    const fixed = stream.pattern === 'fixed';
    const ended = AbortSignal.any([this.#stop.signal, this.#kill.signal]);
    for (let first = true; ; first = false) {
      const poisson = -Math.log(1 - random()) * gapMs;
      await pause(fixed ? (first ? random() * gapMs : gapMs) : poisson, ended);
      if (ended.aborted) return;
      try {
        await this.enqueue(stream.serverId);
      } catch (error) {
        if (!isDatabaseAway(error)) throw error;
        // A sender is refused while the database is away, and the next message comes regardless.
        this.#log.write('ERROR', String(error), { component: 'smtp-server' });
      }
    }
  }

  /** The heartbeat of the thread that runs the scheduled tasks, about every 60 s. */
  async #lead(worker: string): Promise<void> {
    const ended = AbortSignal.any([this.#stop.signal, this.#kill.signal]);
    while (!ended.aborted) {
      try {
        await this.#pool.query(
          `INSERT INTO worker_roles (role, worker, acquired_at) VALUES ('tasks', ?, ?)
           ON DUPLICATE KEY UPDATE worker = VALUES(worker), acquired_at = VALUES(acquired_at)`,
          [worker, new Date(this.#o.now())],
        );
      } catch (error) {
        if (!isDatabaseAway(error)) throw error;
        this.#log.write('ERROR', String(error), { component: 'worker', thread: 'tasks' });
      }
      await pause(60_000 / this.#o.speed, ended);
    }
  }
}
