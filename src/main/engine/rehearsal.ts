// Incident 1 again, on this computer: many quiet tenants, a noisy one with its bursts, and the cure as switches.
import type { Rehearsal as RehearsalState, RehearsalSwitches } from '../../contract/rehearsal.ts';
import type { Clock } from './clock.ts';
import type { Engine } from './engine.ts';
import {
  anyOther,
  BACKGROUND_PER_S,
  BURST_EVERY_MS,
  BURST_SIZE,
  FIRST_BURST_AFTER_MS,
  MAILFLOW_EVERY_MS,
  message,
  nextArrivalMs,
  NOISY,
  SPEED,
  WATCHED,
} from './rehearsal-workload.ts';

/** As the incident was: no fair order, two workers. */
export const INCIDENT_SWITCHES: RehearsalSwitches = { order: 'first-come', workers: 2 };
/** A burst is left out while the noisy tenant has this much waiting: the backlog stays bounded. */
const LONGEST_BACKLOG = 500;

export interface RehearsalParts {
  engine: Pick<Engine, 'enqueue' | 'configure' | 'snapshot'>;
  clock: Clock;
  /** Like Math.random. */
  random: () => number;
  switches: RehearsalSwitches;
  /** The switches or the time of the next burst changed. */
  onChange: (state: RehearsalState) => void;
  /** Something worth a line in the log. */
  onNote: (text: string) => void;
  onProblem: (problem: Error) => void;
}

/** What `rehearsal` looks like with these switches. `nextBurstAtMs`: epoch ms. */
export function describeRehearsal(switches: RehearsalSwitches, nextBurstAtMs: number): RehearsalState {
  return {
    ...switches,
    speed: SPEED,
    noisyTenant: NOISY.name,
    watchedTenant: WATCHED.name,
    nextBurstAtMs,
    burstSize: BURST_SIZE,
  };
}

/** Sends the messages; the engine it is given works them off. */
export class Rehearsal {
  readonly #parts: RehearsalParts;
  #switches: RehearsalSwitches;
  #nextBurstAtMs: number;
  /** One timer for each stream of messages, by its name. */
  readonly #timers = new Map<string, () => void>();
  #state: 'idle' | 'open' | 'closed' = 'idle';

  constructor(parts: RehearsalParts) {
    this.#parts = parts;
    this.#switches = parts.switches;
    this.#nextBurstAtMs = parts.clock.now() + FIRST_BURST_AFTER_MS;
  }

  get state(): RehearsalState {
    return describeRehearsal(this.#switches, this.#nextBurstAtMs);
  }

  start(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'open';
    const { random } = this.#parts;
    this.#parts.engine.configure(this.#switches);
    this.#every(
      'mailflow',
      () => MAILFLOW_EVERY_MS,
      () => this.#send(WATCHED.id, 1),
    );
    this.#every(
      'others',
      () => nextArrivalMs(BACKGROUND_PER_S, random),
      () => this.#send(anyOther(random), 1),
    );
    this.#scheduleBurst(FIRST_BURST_AFTER_MS);
  }

  stop(): void {
    this.#state = 'closed';
    for (const takeBack of this.#timers.values()) takeBack();
    this.#timers.clear();
  }

  /** Holds from now on; what runs goes on running. */
  set(switches: RehearsalSwitches): RehearsalState {
    this.#switches = switches;
    this.#parts.engine.configure(switches);
    this.#parts.onNote(`rehearsal: order ${switches.order}, ${switches.workers} workers`);
    this.#parts.onChange(this.state);
    return this.state;
  }

  /** A burst of the noisy tenant now; the next one by itself comes a whole period later. */
  async burst(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#scheduleBurst(BURST_EVERY_MS);
    const { tenants } = await this.#parts.engine.snapshot(0);
    const waiting = tenants.find((tenant) => tenant.tenantId === NOISY.id)?.ready.value ?? 0;
    if (waiting + BURST_SIZE > LONGEST_BACKLOG) {
      this.#parts.onNote(`rehearsal: burst left out, ${waiting} messages of ${NOISY.name} wait already`);
      return;
    }
    this.#parts.onNote(`rehearsal: burst of ${BURST_SIZE} messages from ${NOISY.name}`);
    await this.#send(NOISY.id, BURST_SIZE);
  }

  async #send(tenantId: string, count: number): Promise<void> {
    const { engine, random } = this.#parts;
    await engine.enqueue(Array.from({ length: count }, () => message(tenantId, random)));
  }

  #scheduleBurst(inMs: number): void {
    this.#nextBurstAtMs = this.#parts.clock.now() + inMs;
    this.#once('burst', inMs, () => this.burst());
    this.#parts.onChange(this.state);
  }

  #every(name: string, nextMs: () => number, act: () => Promise<void>): void {
    this.#once(name, nextMs(), () => {
      // Before the act, so that one failure of the store does not end the stream.
      this.#every(name, nextMs, act);
      return act();
    });
  }

  #once(name: string, inMs: number, act: () => Promise<void>): void {
    if (this.#state !== 'open') return;
    this.#timers.get(name)?.();
    const fire = (): void => {
      act().catch((cause: unknown) => {
        this.#parts.onProblem(new Error(`the rehearsal could not send its ${name} messages`, { cause }));
      });
    };
    this.#timers.set(name, this.#parts.clock.after(inMs, fire));
  }
}
