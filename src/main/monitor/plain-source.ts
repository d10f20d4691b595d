// A source made of plain data, for tests: says what it is told to say and counts what it is asked.
import { exact } from '../../core/count.ts';
import { nothingQueued, type SourceSample, type TenantInfo, type TenantSample } from '../../core/sample.ts';
import type { Probe, Source, SourceDetails } from '../sources/source.ts';

export type Question = 'probe' | 'tenants' | 'snapshot';

const unasked = (): Promise<never> => Promise.reject(new Error('plain data has no details'));

export class PlainSource implements Source {
  /** Nobody asks for them in a monitor's tests. */
  readonly details: SourceDetails = {
    capabilities: unasked,
    jobs: unasked,
    job: unasked,
    locks: unasked,
    health: unasked,
    indexAdvice: unasked,
  };
  readonly asked: Question[] = [];
  /** Calls under way at most at the same time. */
  mostAtOnce = 0;
  disposals = 0;
  named: TenantInfo[] = [{ id: '3', name: 'mailflow', detail: 'Example' }];
  /** Called for each question; may wait or throw. */
  before: (question: Question, signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  sample: () => SourceSample;
  #underWay = 0;

  constructor(sample: () => SourceSample) {
    this.sample = sample;
  }

  probe(signal: AbortSignal): Promise<Probe> {
    return this.#answer('probe', signal, () => ({ system: 'Plain', tenantWord: 'server', warnings: [] }));
  }

  tenants(signal: AbortSignal): Promise<TenantInfo[]> {
    return this.#answer('tenants', signal, () => this.named);
  }

  snapshot(signal: AbortSignal): Promise<SourceSample> {
    return this.#answer('snapshot', signal, () => this.sample());
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposals += 1;
    return Promise.resolve();
  }

  count(question: Question): number {
    return this.asked.filter((asked) => asked === question).length;
  }

  async #answer<T>(question: Question, signal: AbortSignal, answer: () => T): Promise<T> {
    this.asked.push(question);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#underWay);
    try {
      await this.before(question, signal);
      return answer();
    } finally {
      this.#underWay -= 1;
    }
  }
}

/** Waits until the signal aborts, then rejects with its reason, as a source that hangs does. */
export function hang(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () => reject(signal.reason as Error);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** One poll at `nowMs`, by one clock for database and Headway, that took 10 ms. */
export function sampleAt(
  nowMs: number,
  tenants: TenantSample[],
  more: Partial<SourceSample> = {},
): SourceSample {
  return {
    databaseTimeMs: nowMs,
    clock: { offsetMs: 0, errorMs: 1 },
    tenants,
    workers: { busy: null, total: null, lastSeenAtMs: nowMs },
    kinds: null,
    workerMemory: null,
    claimOrder: 'first come, first served',
    cost: { durationMs: 10, rowsRead: 40 },
    ...more,
  };
}

/** A tenant with nothing to do, but for what is given. */
export function tenantSample(tenantId: string, more: Partial<TenantSample> = {}): TenantSample {
  return { ...nothingQueued(tenantId), arrivalsTotal: 100, attemptsTotal: 100, ...more };
}

/** A tenant whose oldest ready job has waited for `lagMs` at `nowMs`. */
export function lateTenant(
  tenantId: string,
  lagMs: number,
  nowMs: number,
  more: Partial<TenantSample> = {},
): TenantSample {
  const readyAtMs = nowMs - lagMs;
  const oldestReady: TenantSample['oldestReady'] = { readyAtMs, createdAtMs: readyAtMs, bound: 'exact' };
  return tenantSample(tenantId, { ready: exact(1), oldestReady, ...more });
}
