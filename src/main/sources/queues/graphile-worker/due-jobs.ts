// From the jobs that were walked to what is known of every task's due jobs. Pure; sql.ts says what was read.
import { behind, type QueueHead } from '../../../../core/behind.ts';
import { atLeast, exact } from '../../../../core/count.ts';
import type { TenantSample } from '../../../../core/sample.ts';
import type { PollRow } from './rows.ts';

type DueJob = Omit<PollRow['due'][number], 'isHead'>;

interface DueRead {
  /** The first due jobs of each walked priority. */
  walked: readonly DueJob[];
  walkLimit: number;
  /** Whether there are priorities after the walked ones. */
  morePriorities: boolean;
  /** The first due jobs of each task by run time; null when there is no index by task. */
  heads: { jobs: readonly DueJob[]; limit: number } | null;
}

type Ready = Pick<TenantSample, 'ready' | 'oldestReady' | 'behind'>;

/** Only the latest are asked about: who is on time waits for nobody. */
const LATEST = 50;

/** A job becomes free to start at its run time, which a failed attempt moves on; not before it was added. */
const readyAtMs = (job: DueJob): number => Math.max(job.created_at_ms, job.run_at_ms);

/** The claim order. Its last part is the usual order of the index among jobs of one moment; the claim itself names none. */
function inClaimOrder(a: DueJob, b: DueJob): number {
  return a.priority - b.priority || a.run_at_ms - b.run_at_ms || a.id - b.id;
}

/** A place in the claim order from which on due jobs may be unseen. */
interface Cut {
  priority: number;
  runAtMs: number;
}

/** What the read proves of each task's ready jobs, by task id. Tasks without any read job: `of` says so with its bound. */
export class DueJobs {
  /** Whether every due job was seen. */
  readonly complete: boolean;
  readonly #byTask = new Map<number, { job: DueJob; rank: number }[]>();
  readonly #cuts: Cut[];
  readonly #heads = new Map<number, { count: number; lastRunAtMs: number }>();
  readonly #headLimit: number;
  /** Up to this rank no due job is unseen; null when none is anywhere. */
  readonly #unseenAfter: number | null;
  readonly #behind: Map<number, TenantSample['behind']>;

  /** `tasks`: identifiers by task id. */
  constructor(read: DueRead, tasks: ReadonlyMap<number, string>) {
    this.#cuts = cutsOf(read);
    this.complete = this.#cuts.length === 0;
    this.#headLimit = read.heads?.limit ?? 0;
    for (const job of read.heads?.jobs ?? []) {
      const head = this.#heads.get(job.task_id) ?? { count: 0, lastRunAtMs: -Infinity };
      this.#heads.set(job.task_id, {
        count: head.count + 1,
        lastRunAtMs: Math.max(head.lastRunAtMs, job.run_at_ms),
      });
    }
    const jobs = [
      ...new Map([...read.walked, ...(read.heads?.jobs ?? [])].map((job) => [job.id, job])).values(),
    ];
    jobs.sort(inClaimOrder);
    const firstCut = this.#cuts[0];
    this.#unseenAfter =
      firstCut === undefined ? null : jobs.filter((job) => isBefore(job, firstCut)).length - 1;
    for (const [rank, job] of jobs.entries()) {
      if (job.blocked) continue;
      const own = this.#byTask.get(job.task_id) ?? [];
      own.push({ job, rank });
      this.#byTask.set(job.task_id, own);
    }
    this.#behind = this.#behindOfLatest(tasks);
  }

  of(taskId: number): Ready {
    const own = this.#byTask.get(taskId) ?? [];
    const isWhole = this.#isWhole(taskId);
    const oldest = this.#oldest(taskId)?.job;
    return {
      ready: isWhole ? exact(own.length) : atLeast(own.length),
      oldestReady:
        oldest === undefined
          ? null
          : {
              readyAtMs: readyAtMs(oldest),
              createdAtMs: oldest.created_at_ms,
              bound: isWhole || readyAtMs(oldest) <= this.#provenUntilMs(taskId) ? 'exact' : 'at-least',
            },
      behind: this.#behind.get(taskId) ?? null,
    };
  }

  /** Whether all due jobs of the task were seen. */
  #isWhole(taskId: number): boolean {
    return this.complete || (this.#heads.get(taskId)?.count ?? 0) < this.#headLimit;
  }

  /** No unseen job of the task is due since before this: unseen ones run after the last seen one of their walk. */
  #provenUntilMs(taskId: number): number {
    const walked = Math.min(...this.#cuts.map((cut) => cut.runAtMs));
    return Math.max(walked, this.#heads.get(taskId)?.lastRunAtMs ?? -Infinity);
  }

  #oldest(taskId: number): { job: DueJob; rank: number } | undefined {
    const own = this.#byTask.get(taskId);
    return own?.reduce((oldest, next) => (readyAtMs(next.job) < readyAtMs(oldest.job) ? next : oldest));
  }

  #behindOfLatest(tasks: ReadonlyMap<number, string>): Map<number, TenantSample['behind']> {
    const heads: QueueHead<number>[] = [...tasks].map(([taskId, tenantId]) => ({
      tenantId,
      readyKeys: (this.#byTask.get(taskId) ?? []).map(({ rank }) => rank),
      unseenAfter: this.#isWhole(taskId) ? null : this.#unseenAfter,
      oldestKey: this.#oldest(taskId)?.rank ?? null,
      whole: null,
    }));
    const latest = [...tasks]
      .flatMap(([taskId, tenantId]) => {
        const oldest = this.#oldest(taskId);
        return oldest === undefined ? [] : [{ taskId, tenantId, readyAtMs: readyAtMs(oldest.job) }];
      })
      .sort((a, b) => a.readyAtMs - b.readyAtMs)
      .slice(0, LATEST);
    return new Map(latest.map(({ taskId, tenantId }) => [taskId, behind(heads, tenantId)]));
  }
}

/** In claim order. */
function cutsOf({ walked, walkLimit, morePriorities }: DueRead): Cut[] {
  const seen = new Map<number, { count: number; lastRunAtMs: number }>();
  for (const { priority, run_at_ms } of walked) {
    const { count, lastRunAtMs } = seen.get(priority) ?? { count: 0, lastRunAtMs: -Infinity };
    seen.set(priority, { count: count + 1, lastRunAtMs: Math.max(lastRunAtMs, run_at_ms) });
  }
  const cuts = [...seen]
    .filter(([, { count }]) => count >= walkLimit)
    .map(([priority, { lastRunAtMs }]) => ({ priority, runAtMs: lastRunAtMs }))
    .sort((a, b) => a.priority - b.priority);
  if (morePriorities) cuts.push({ priority: Infinity, runAtMs: -Infinity });
  return cuts;
}

/** Strictly: an unseen job may share the moment of the last seen one. */
function isBefore(job: DueJob, cut: Cut): boolean {
  return job.priority < cut.priority || (job.priority === cut.priority && job.run_at_ms < cut.runAtMs);
}
