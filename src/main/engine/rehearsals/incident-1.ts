// Incident 1, head-of-line blocking in a mail server: many quiet tenants, a noisy one with its bursts.
import { jobKindSchema } from '../../../contract/job-kinds.ts';
import type { EngineKind, EngineTuning } from '../engine-parts.ts';
import type { IncidentPlay, Performance, Stage, Switches } from './incident-play.ts';
import {
  anyOther,
  BACKGROUND_PER_S,
  BURST_EVERY_MS,
  BURST_SIZE,
  FIRST_BURST_AFTER_MS,
  MAIL,
  MAILFLOW_EVERY_MS,
  mailHandler,
  message,
  NOISY,
  SPEED,
  tenants,
  WATCHED,
} from './mail-workload.ts';
import { nextArrivalMs, Streams } from './streams.ts';

/** A burst is left out while the noisy tenant has this much waiting: the backlog stays bounded. */
const LONGEST_BACKLOG = 500;

/** A message that is late, late enough to page somebody; the incident's figures. */
const LATE_MS = 180_000;
const VERY_LATE_MS = 300_000;
const inSeconds = (ms: number): number => ms / SPEED / 1_000;
const late = {
  warning: inSeconds(LATE_MS),
  critical: inSeconds(VERY_LATE_MS),
  forSeconds: 1,
  keepFiringForSeconds: 3,
};

export const incident1: IncidentPlay = {
  incident: 1,
  title: 'One server’s burst blocks the others',
  story: `${NOISY.name} queues ${BURST_SIZE} messages at once. Watch ${WATCHED.name}: as the incident was, it waits for all of them.`,
  speed: SPEED,
  expectedMs: LATE_MS,
  tenantWord: 'server',
  tenants,
  canaryTenants: [WATCHED.name],
  switches: [
    {
      id: 'order',
      label: 'Order',
      options: [
        { value: 'first-come', label: 'first come' },
        { value: 'fair', label: 'fair' },
      ],
    },
    {
      id: 'workers',
      label: 'Workers',
      options: [
        { value: '2', label: '2' },
        { value: '10', label: '10' },
      ],
    },
  ],
  action: {
    label: 'Burst now',
    hint: `${BURST_SIZE} messages from ${NOISY.name}, all at once`,
  },
  // A delivery of a second is what is played, not a fault.
  rules: { lag: late, canary: late, stageP95: { enabled: false } },
  tuning: (switches): EngineTuning => ({
    workers: Number(switches['workers']),
    order: switches['order'] === 'fair' ? 'fair' : 'first-come',
    tenants: {},
  }),
  perform: (stage) => Promise.resolve(new Bursts(stage)),
};

const policy = jobKindSchema
  .omit({ handler: true })
  .parse({ kind: MAIL, timeouts: { jobSeconds: 60 }, retry: { maxAttempts: 5 } });

class Bursts implements Performance {
  readonly #stage: Stage;
  readonly #streams: Streams;
  nextAtMs: number;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#streams = new Streams(stage.clock, (what, cause) =>
      stage.problem(`the rehearsal could not send its ${what} messages`, cause),
    );
    this.nextAtMs = stage.clock.now() + FIRST_BURST_AFTER_MS;
  }

  kinds(): EngineKind[] {
    return [{ policy, handler: mailHandler(this.#stage.clock) }];
  }

  begin(): void {
    const { random } = this.#stage;
    this.#streams.every(
      'mailflow',
      () => MAILFLOW_EVERY_MS,
      () => this.#send(WATCHED.id, 1),
    );
    this.#streams.every(
      'others',
      () => nextArrivalMs(BACKGROUND_PER_S, random),
      () => this.#send(anyOther(random), 1),
    );
    this.#schedule(FIRST_BURST_AFTER_MS);
  }

  changed(_switches: Switches): void {
    // Order and workers are the engine's; what is sent stays the same.
  }

  /** A burst of the noisy tenant now; the next one by itself comes a whole period later. */
  async act(): Promise<void> {
    this.#schedule(BURST_EVERY_MS);
    const { tenants: depths } = await this.#stage.store.depths(0);
    const waiting = depths.find((tenant) => tenant.tenantId === NOISY.id)?.ready.value ?? 0;
    if (waiting + BURST_SIZE > LONGEST_BACKLOG) {
      this.#stage.note(`rehearsal: burst left out, ${waiting} messages of ${NOISY.name} wait already`);
      return;
    }
    this.#stage.note(`rehearsal: burst of ${BURST_SIZE} messages from ${NOISY.name}`);
    await this.#send(NOISY.id, BURST_SIZE);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#streams.end();
    return Promise.resolve();
  }

  #send(tenantId: string, count: number): Promise<void> {
    const { random } = this.#stage;
    return this.#stage.enqueue(Array.from({ length: count }, () => message(tenantId, random)));
  }

  #schedule(inMs: number): void {
    this.nextAtMs = this.#stage.clock.now() + inMs;
    this.#streams.once('burst', inMs, () => this.act());
    this.#stage.changed();
  }
}
