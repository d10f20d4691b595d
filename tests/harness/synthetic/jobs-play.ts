// Single jobs of the made-up queues, as many as their tenants' rows say. The same moment plays the same jobs.
import type { TenantRow } from '../../../src/contract/live.ts';
import type {
  JobList,
  JobsPage,
  JobsQuery,
  LocksPage,
  LocksQuery,
  QueueJob,
  QueueJobDetail,
} from '../../../src/contract/queue-jobs.ts';

export interface JobsPlayOptions {
  /** How its ids look: a row's number, or a UUID. */
  ids: 'number' | 'uuid';
  kinds: readonly string[] | null;
  /** Lists that mean nothing to it, and its words for that. */
  foreign: Partial<Record<JobList, string>>;
  words: Partial<Record<QueueJob['state'], string>>;
  maxAttempts: number | null;
  rule: string;
  /** When the system takes a claim back by itself. */
  lockMs: number | null;
}

const errors = [
  '550 5.1.1 <someone@example.test>: Recipient address rejected: User unknown',
  'connect ETIMEDOUT 10.9.0.4:443 after 10000 ms, while posting the invoice to the ledger',
  '451 4.7.1 Greylisting in action, please come back in 300 seconds',
  'duplicate key value violates unique constraint "invoice_number_key"',
];
const HOUR = 3_600_000;
/** A mixing step of splitmix32: the same number gives the same job. */
function mixed(seed: number): number {
  let x = (seed + 0x9e3779b9) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
const orders: Record<JobList, number> = { ready: 0, running: 1, delayed: 2, dead: 3, held: 4, blocked: 5 };

export class JobsPlay {
  readonly #options: JobsPlayOptions;
  readonly #rows: () => TenantRow[];
  readonly #startedAtMs: number;

  constructor(options: JobsPlayOptions, rows: () => TenantRow[], startedAtMs: number) {
    this.#options = options;
    this.#rows = rows;
    this.#startedAtMs = startedAtMs;
  }

  page({ list, tenantId, after, limit }: JobsQuery, nowMs: number): JobsPage {
    const note = this.#options.foreign[list];
    if (note !== undefined) return { jobs: [], next: null, note };
    const all = this.#tenants(tenantId).flatMap((row) => this.#jobs(row, list, nowMs));
    const from = after === null ? 0 : Number(after);
    const jobs = all.slice(from, from + limit);
    return { jobs, next: from + limit < all.length ? String(from + limit) : null, note: null };
  }

  job(id: string, nowMs: number): QueueJobDetail | null {
    for (const row of this.#rows())
      for (const list of ['running', 'ready', 'delayed', 'dead', 'held'] as const) {
        const job = this.#jobs(row, list, nowMs).find((one) => one.id === id);
        if (job !== undefined) return detailOf(job, row);
      }
    return null;
  }

  locks({ tenantId, limit }: LocksQuery, nowMs: number): LocksPage {
    const all = this.#tenants(tenantId).flatMap((row) =>
      this.#jobs(row, 'running', nowMs).map((job) => ({
        jobId: job.id,
        tenantId: job.tenantId,
        owner: job.owner,
        lockedAtMs: job.startedAtMs,
        expiresAtMs:
          this.#options.lockMs === null || job.startedAtMs === null
            ? null
            : job.startedAtMs + this.#options.lockMs,
        beatAtMs: this.#options.ids === 'uuid' && !job.stale ? nowMs - 4_000 : null,
        stale: job.stale,
      })),
    );
    return { locks: all.slice(0, limit), rule: this.#options.rule, more: all.length > limit };
  }

  #tenants(tenantId: string | null): TenantRow[] {
    const rows = this.#rows();
    return tenantId === null ? rows : rows.filter(({ id }) => id === tenantId);
  }

  #jobs(row: TenantRow, list: JobList, nowMs: number): QueueJob[] {
    const tenant = Number(row.id);
    if (list === 'ready') {
      const count = row.ready.value;
      const lagMs = row.lagMs ?? 0;
      const slot = Math.floor(nowMs / 1_000);
      return Array.from({ length: count }, (_, place) =>
        this.#job(row, list, slot + place - count, {
          readyAtMs: nowMs - lagMs * (1 - place / count),
        }),
      );
    }
    if (list === 'running') {
      const count = row.running.value + row.stale.value;
      return Array.from({ length: count }, (_, place) => {
        const stale = place < row.stale.value;
        const forMs = stale ? 26 * HOUR : 900 + (mixed(tenant * 31 + place) % 8_000);
        const startedAtMs = (stale ? this.#startedAtMs : nowMs) - forMs;
        return this.#job(row, list, stale ? 7 : Math.floor(nowMs / 9_000) * 4 + place, {
          startedAtMs,
          readyAtMs: startedAtMs - 42_000,
          stale,
          owner: `host:mail-${1 + (place % 2)} pid:${812 + tenant} thread:${place + 1}`,
        });
      });
    }
    if (list === 'blocked') return [];
    const count = list === 'delayed' ? row.delayed.value : mixed(tenant) % (list === 'dead' ? 340 : 4);
    return Array.from({ length: count }, (_, place) => {
      const soMs = ((place + 1) * 97_000) % (36 * HOUR);
      return this.#job(row, list, 1_000 + place, {
        readyAtMs: this.#startedAtMs + (list === 'delayed' ? soMs : -soMs),
        ...(list === 'dead'
          ? { startedAtMs: this.#startedAtMs - soMs - 1_900, finishedAtMs: this.#startedAtMs - soMs }
          : {}),
      });
    });
  }

  #job(row: TenantRow, list: JobList, number: number, changes: Partial<QueueJob>): QueueJob {
    const chance = mixed(Number(row.id) * 1_009 + number * 6 + orders[list]);
    const { kinds, words, maxAttempts } = this.#options;
    const failed = list === 'dead' || list === 'delayed' || chance % 11 === 0;
    const attempts = list === 'dead' ? (maxAttempts ?? 18) : failed ? 1 + (chance % 3) : 0;
    const readyAtMs = changes.readyAtMs ?? null;
    return {
      id: this.#id(row, list, number),
      tenantId: row.id,
      kind: kinds === null ? `example-${chance % 40}.org` : (kinds[chance % kinds.length] ?? null),
      state: list,
      stateWord: words[list] ?? list,
      createdAtMs: readyAtMs === null ? null : Math.min(readyAtMs, Date.now()) - (failed ? 640_000 : 0),
      startedAtMs: null,
      finishedAtMs: null,
      attempts,
      maxAttempts,
      priority: 0,
      owner: null,
      stale: false,
      error: failed ? (errors[chance % errors.length] ?? null) : null,
      ...changes,
      readyAtMs,
    };
  }

  #id(row: TenantRow, list: JobList, number: number): string {
    const whole = Number(row.id) * 1_000_000 + (number % 100_000) * 10 + orders[list];
    if (this.#options.ids === 'number') return String(whole);
    const hex = mixed(whole).toString(16).padStart(8, '0');
    const tail = whole.toString(16).padStart(12, '0');
    return `${hex}-${hex.slice(0, 4)}-4${hex.slice(1, 4)}-9${hex.slice(2, 5)}-${tail}`;
  }
}

function detailOf(job: QueueJob, row: TenantRow): QueueJobDetail {
  const moment = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
  return {
    job,
    fields: [
      { name: 'id', value: job.id },
      { name: 'name', value: row.name },
      { name: 'state', value: job.stateWord },
      { name: 'priority', value: String(job.priority ?? 0) },
      { name: 'retry_count', value: String(job.attempts ?? 0) },
      { name: 'retry_limit', value: job.maxAttempts === null ? null : String(job.maxAttempts) },
      { name: 'start_after', value: moment(job.readyAtMs) },
      { name: 'started_on', value: moment(job.startedAtMs) },
      { name: 'created_on', value: moment(job.createdAtMs) },
      { name: 'completed_on', value: moment(job.finishedAtMs) },
      { name: 'singleton_key', value: null },
      { name: 'group_id', value: row.detail },
      { name: 'output', value: job.error === null ? null : JSON.stringify({ message: job.error }) },
    ],
    payload: {
      text: JSON.stringify(
        {
          invoice: 20_000 + job.id.length,
          to: 'accounts@example.test',
          api_key: 'redacted',
          lines: [1, 2, 3],
        },
        null,
        2,
      ),
      shortened: false,
    },
    attempts: Array.from({ length: Math.min(job.attempts ?? 0, 4) }, (_, place) => ({
      attempt: (job.attempts ?? 0) - place,
      atMs: job.readyAtMs === null ? null : job.readyAtMs - place * 610_000,
      error: job.error,
      owner: 'mail-1',
    })),
  };
}
