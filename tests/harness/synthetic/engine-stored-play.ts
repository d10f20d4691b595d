// What the made-up engine's store holds: a dead set with causes, and the jobs that wait for them.
import type { HandlerInput, MethodOutput } from '../../../src/contract/api.ts';
import type { Bulk, EngineView } from '../../../src/contract/engine-report.ts';

type Job = MethodOutput<'engine.deadJobs'>[number];
type Filter = HandlerInput<'engine.deadJobs'>['filter'];
type Failure = Job['failedAttempts'][number]['failure'];

const causes: { kind: string; count: number; failure: Failure }[] = [
  {
    kind: 'sync',
    count: 212,
    failure: {
      class: 'timeout',
      cause: 'the script was ended after … minutes',
      message: 'the script was ended after 15 minutes',
      stderrTail:
        'INFO  page 3 of 12\nINFO  page 4 of 12\nWARN  supplier answers slowly (28 s)\nWARN  supplier answers slowly (41 s)\nTraceback (most recent call last):\n  File "sync.py", line 118, in fetch\n    body = response.read()\nTimeoutError: <script>alert("inert")</script> the read timed out',
    },
  },
  {
    kind: 'embed',
    count: 74,
    failure: {
      class: 'quota',
      cause: 'HTTP 429: quota of … tokens is used up',
      message: 'HTTP 429: quota of 1,000,000 tokens is used up until 2026-11-23T00:00:00Z',
      stderrTail: null,
    },
  },
  {
    kind: 'normalise',
    count: 19,
    failure: {
      class: 'permanent',
      cause: 'unknown currency "…"',
      message: 'unknown currency "XBT"',
      stderrTail: null,
    },
  },
  {
    kind: 'sync',
    count: 6,
    failure: {
      class: 'transient',
      cause: 'wrote nothing to standard output',
      message: 'wrote nothing to standard output',
      stderrTail: 'supplier-cli: connection reset by peer\n',
    },
  },
];
const after: Record<string, string[]> = {
  sync: ['normalise', 'extract', 'embed', 'insight'],
  normalise: ['extract'],
};

export class StoredPlay {
  readonly #tenants: readonly string[];
  readonly #random: () => number;
  readonly #dead = new Map<number, Job>();
  readonly #blocked = new Map<number, { job: Job; ancestorId: number }>();
  readonly #nowMs: number;

  constructor(tenants: readonly string[], random: () => number, nowMs: number) {
    this.#tenants = tenants;
    this.#random = random;
    this.#nowMs = nowMs;
    let id = 31_000;
    for (const { kind, count, failure } of causes)
      for (let i = 0; i < count; i += 1) {
        const job = this.#job(id++, kind, 'dead', failure);
        this.#dead.set(job.id, job);
        let before = [job.id];
        if (i % 24 === 0)
          for (const next of after[kind] ?? []) {
            // Many small jobs follow a sync: the cascade spreads.
            const width = next === 'extract' ? 3 : 1;
            const waiting = Array.from({ length: width }, () => ({
              ...this.#job(id++, next, 'blocked', null),
              tenantId: job.tenantId,
              batchId: `import-${job.id}`,
              waitsFor: before,
            }));
            for (const one of waiting) this.#blocked.set(one.id, { job: one, ancestorId: job.id });
            before = waiting.map((one) => one.id);
          }
      }
  }

  tenant(): string {
    return this.#tenants[Math.floor(this.#random() ** 2 * this.#tenants.length)] ?? '1';
  }

  counts(): { dead: number; blocked: number } {
    return { dead: this.#dead.size, blocked: this.#blocked.size };
  }

  groups(): EngineView['deadGroups'] {
    const groups = new Map<string, EngineView['deadGroups'][number]>();
    for (const job of this.#dead.values()) {
      const failure = job.failedAttempts[0]?.failure;
      if (failure === undefined) continue;
      const key = `${job.kind} ${failure.cause}`;
      const group = groups.get(key);
      groups.set(key, {
        kind: job.kind,
        cause: failure.cause,
        class: failure.class,
        count: (group?.count ?? 0) + 1,
        lastAtMs: Math.max(group?.lastAtMs ?? 0, job.readyAtMs),
        example: failure.message,
      });
    }
    return [...groups.values()];
  }

  dead(filter: Filter, afterId: number, limit: number): Job[] {
    return [...this.#dead.values()].filter((job) => job.id > afterId && fits(job, filter)).slice(0, limit);
  }

  blocked(filter: Filter, afterId: number, limit: number): { job: Job; ancestorId: number }[] {
    return [...this.#blocked.values()]
      .filter(({ job }) => job.id > afterId && fits(job, filter))
      .slice(0, limit);
  }

  job(id: number): Job | null {
    return this.#dead.get(id) ?? this.#blocked.get(id)?.job ?? null;
  }

  running({
    id,
    kind,
    tenantId,
    startedAtMs,
  }: {
    id: number;
    kind: string;
    tenantId: string;
    startedAtMs: number;
  }): Job {
    return {
      ...this.#job(id, kind, 'running', null),
      tenantId,
      createdAtMs: startedAtMs - 4_000,
      readyAtMs: startedAtMs - 4_000,
      claimedAtMs: startedAtMs,
      owner: 'this computer',
    };
  }

  payload(job: Job): { text: string; shortened: boolean } {
    const lines = Array.from({ length: 40 }, (_, n) => ({ sku: `A-${1_000 + n}`, amount: n * 3 }));
    const text = JSON.stringify(
      { tenant: job.tenantId, supplier: 'https://supplier.example.com/v2', token: 'redacted', lines },
      null,
      2,
    );
    return { text: text.slice(0, 1_200), shortened: text.length > 1_200 };
  }

  /** Changes up to `limit` jobs; how many. */
  change(what: Bulk['what'], filter: Filter, limit: number): number {
    const set = what === 'requeue' || what === 'discard' ? this.#dead : this.#blocked;
    const ids = [...set.keys()]
      .filter((id) => {
        const job = this.job(id);
        return job !== null && fits(job, filter);
      })
      .slice(0, limit);
    for (const id of ids) {
      const job = this.job(id);
      set.delete(id);
      if (what === 'requeue')
        for (const [key, { ancestorId }] of this.#blocked) if (ancestorId === id) this.#blocked.delete(key);
      if (what === 'cancel' && job !== null) {
        const failure: Failure = {
          class: 'permanent',
          cause: 'cancelled by anna',
          message: 'cancelled by anna',
          stderrTail: null,
        };
        this.#dead.set(id, {
          ...job,
          state: 'dead',
          failedAttempts: [this.#attempt(1, failure, job.readyAtMs)],
        });
      }
    }
    return ids.length;
  }

  #job(id: number, kind: string, state: Job['state'], failure: Failure | null): Job {
    const diedMs = this.#nowMs - this.#random() ** 2 * 6 * 3_600_000;
    return {
      id,
      tenantId: this.tenant(),
      kind,
      state,
      priority: 0,
      batchId: null,
      attempts: failure === null ? 0 : 3,
      maxAttempts: 3,
      createdAtMs: diedMs - 2_700_000,
      readyAtMs: diedMs,
      claimedAtMs: null,
      owner: null,
      payloadBytes: 1_843,
      waitsFor: [],
      failedAttempts: failure === null ? [] : [3, 2, 1].map((n) => this.#attempt(n, failure, diedMs)),
    };
  }

  #attempt(attempt: number, failure: Failure, diedMs: number): Job['failedAttempts'][number] {
    const runMs = failure.class === 'timeout' ? 900_000 : 400 + this.#random() * 4_000;
    return {
      attempt,
      owner: 'this computer',
      startedAtMs: diedMs - (4 - attempt) * 920_000,
      waitMs: 310 * attempt,
      runMs,
      stages: { load: runMs * 0.04, script: runMs * 0.9 },
      failure,
    };
  }
}

function fits(job: Job, { tenantId, kind, cause, ids }: Filter): boolean {
  return (
    (tenantId === undefined || job.tenantId === tenantId) &&
    (kind === undefined || job.kind === kind) &&
    (cause === undefined || job.failedAttempts[0]?.failure.cause === cause) &&
    (ids === undefined || ids.includes(job.id))
  );
}
