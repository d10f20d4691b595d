// The workers: as many places as jobs may run at once, fed from a buffer of claims.
//
//   claim ──▶ buffer ──▶ worker ──▶ end (done, failed, time is up, cut short) ──▶ onEnd
//                │                                                                  ▲
//                └── its kind may not start now, waited too long, the engine stops ─┘ returned
//
// The pool knows no store: it takes claims and tells ends (exchange-loop.ts does the rest). A job that ends at once costs
// it one promise and no timer.
import type { Claim } from '../job.ts';
import { type Ended, judge, returned } from './attempt-end.ts';
import { AttemptRun, StoppedError } from './attempt-run.ts';
import type { Alarm } from '../alarm.ts';
import type { Clock } from '../clock.ts';
import type { ClaimBuffer } from './claim-buffer.ts';
import { type Handler, JobError } from './handler.ts';
import type { KindGate } from './kind-gate.ts';
import type { KindGates } from './kind-gates.ts';

/** One place in which a job can run. */
export interface Worker {
  readonly id: number;
  run: AttemptRun | null;
  /** What the present or last job was run by. */
  handler: Handler | null;
  jobs: number;
  errors: number;
  /** Of what ran its jobs, as far as was seen. */
  restarts: number;
}

export interface WorkerPoolParts {
  owner: string;
  clock: Clock;
  random: () => number;
  alarm: Alarm;
  gates: KindGates;
  buffer: ClaimBuffer;
  /** A claim came to its end; it is the store's again once that has been told. */
  onEnd: (ended: Ended) => void;
}

export class WorkerPool {
  readonly #parts: WorkerPoolParts;
  #workers: Worker[] = [];
  #wanted = 0;
  #busy = 0;
  /** Where the search for a free worker goes on: each gets its turn, so that they share the work evenly. */
  #next = 0;
  #isOpen = true;
  #onEmpty: (() => void) | null = null;

  constructor(parts: WorkerPoolParts, workers: number) {
    this.#parts = parts;
    this.configure(workers);
  }

  /** More workers than wanted for a while after their number was lowered. */
  get workers(): readonly Worker[] {
    return this.#workers;
  }
  get wanted(): number {
    return this.#wanted;
  }
  get busy(): number {
    return this.#busy;
  }

  /** What it has in hand: running or waiting. */
  claims(): Claim[] {
    const { gates, buffer } = this.#parts;
    return [...gates.all()]
      .flatMap(({ running }) => [...running].map((run) => run.claim))
      .concat(buffer.all());
  }

  /** More workers start at once; fewer let what runs finish. */
  configure(workers: number): void {
    this.#wanted = workers;
    for (let id = this.#workers.length; id < workers; id++) {
      this.#workers.push({ id, run: null, handler: null, jobs: 0, errors: 0, restarts: 0 });
    }
    this.#dismiss();
    this.#fill();
  }

  /** Claims in the order of their turns. What cannot start now waits for a free worker. */
  offer(claims: readonly Claim[]): void {
    const { gates, buffer, alarm } = this.#parts;
    for (const claim of claims) {
      const gate = gates.get(claim.kind);
      if (gate) gate.buffered += 1;
      buffer.push(claim);
    }
    if (!this.#isOpen) this.giveBack(() => true);
    this.#fill();
    alarm.by(buffer.staleAtMs);
  }

  /** Gives back what waits in the buffer and is meant. */
  giveBack(isMeant: (claim: Claim) => boolean): void {
    this.#return(this.#parts.buffer.take(isMeant));
  }

  /** Ends whatever has had its time. Called when the alarm rings, and sets it anew. */
  cutOverdue(): void {
    const { clock, gates, alarm, buffer } = this.#parts;
    const nowMs = clock.now();
    for (const gate of gates.all()) {
      const { timeoutMs } = gate;
      for (const run of gate.running) {
        if (run.startedAtMs + timeoutMs > nowMs) {
          alarm.by(run.startedAtMs + timeoutMs);
          break;
        }
        this.#cut(run, gate, new JobError('timeout', `timed out after ${timeoutMs} ms`));
      }
    }
    this.#return(buffer.takeStale(nowMs));
    alarm.by(buffer.staleAtMs);
  }

  /** Ends everything that runs; `reason` is what each handler hears. */
  cutAll(reason: Error): void {
    for (const gate of this.#parts.gates.all()) {
      for (const run of gate.running) this.#cut(run, gate, reason);
    }
  }

  /** Starts nothing more; what waits is given back. What runs goes on. */
  close(): void {
    this.#isOpen = false;
    this.giveBack(() => true);
  }

  /** Resolves when nothing runs any more; what still runs when `cut` aborts is cut short. */
  async empty(cut: AbortSignal): Promise<void> {
    const emptied = Promise.withResolvers<undefined>();
    this.#onEmpty = () => emptied.resolve(undefined);
    const cutAll = (): void => this.cutAll(new StoppedError('the engine stops'));
    cut.addEventListener('abort', cutAll, { once: true });
    if (cut.aborted) cutAll();
    if (this.#busy > 0) await emptied.promise;
    cut.removeEventListener('abort', cutAll);
  }

  /** Starts claims while there are free workers. One that may not start now is given back and blocks nobody. */
  #fill(): void {
    const { gates, buffer, clock } = this.#parts;
    while (this.#busy < this.#wanted) {
      const claim = buffer.shift();
      if (claim === undefined) return;
      const gate = gates.get(claim.kind);
      if (gate) gate.buffered -= 1;
      if (gate && gate.room(clock.now()) >= 1) this.#start(claim, gate);
      else this.#parts.onEnd(returned(claim));
    }
  }

  #start(claim: Claim, gate: KindGate): void {
    const { clock, alarm } = this.#parts;
    const worker = this.#freeWorker();
    const run = new AttemptRun(claim, worker.id, clock);
    const { handler } = gate;
    worker.run = run;
    worker.handler = handler;
    this.#busy += 1;
    gate.began(run);
    alarm.by(run.startedAtMs + gate.timeoutMs);
    const { id, tenantId, kind, payload, attempt } = claim;
    let work: Promise<void>;
    try {
      work = handler.run({ id, tenantId, kind, payload, attempt }, run);
    } catch (error) {
      // A handler may throw before it returns its promise.
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- judged whatever it is
      work = Promise.reject(error);
    }
    work.then(
      () => this.#end(run, gate, null),
      (thrown: unknown) => this.#end(run, gate, { thrown }),
    );
  }

  /** The worker is free again even when the handler ignores its signal (incident 3). */
  #cut(run: AttemptRun, gate: KindGate, reason: Error): void {
    this.#end(run, gate, { thrown: reason });
    run.end(reason);
  }

  #end(run: AttemptRun, gate: KindGate, failed: { thrown: unknown } | null): void {
    // It was cut short before; what its handler does now is no longer heard.
    if (run.isOver) return;
    run.end(null);
    const { owner, clock, random, buffer, gates, onEnd } = this.#parts;
    const nowMs = clock.now();
    const judgement = judge(run, failed, gate, { owner, nowMs, random });
    gate.ended(run, judgement.outcome, nowMs);
    if (gate.isRetired) gates.prune();
    const worker = this.#workers[run.workerId];
    if (worker) {
      worker.run = null;
      worker.jobs += 1;
      if (judgement.attempt?.failure) worker.errors += 1;
    }
    this.#busy -= 1;
    if (judgement.attempt) buffer.ended(judgement.attempt.runMs);
    if (this.#workers.length > this.#wanted) this.#dismiss();
    onEnd(judgement);
    this.#fill();
    if (this.#busy === 0) this.#onEmpty?.();
  }

  #return(claims: readonly Claim[]): void {
    for (const claim of claims) {
      const gate = this.#parts.gates.get(claim.kind);
      if (gate) gate.buffered -= 1;
      this.#parts.onEnd(returned(claim));
    }
  }

  /** Only called while fewer are busy than wanted, so one of the wanted is free. */
  #freeWorker(): Worker {
    for (;;) {
      this.#next = (this.#next + 1) % this.#wanted;
      const worker = this.#workers[this.#next];
      if (worker?.run === null) return worker;
    }
  }

  /** Lets the last workers go that are not wanted and have no job. */
  #dismiss(): void {
    while (this.#workers.length > this.#wanted && this.#workers.at(-1)?.run === null) this.#workers.pop();
  }
}
