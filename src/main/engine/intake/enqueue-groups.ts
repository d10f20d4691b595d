import { HeadwayError } from '../../../contract/errors.ts';
import type { Clock } from '../clock.ts';
import type { Enqueued, NewJob } from '../job.ts';
import { tooMuch } from './http-answer.ts';

/** Jobs of one store transaction: what a commit costs is spread over this many. A larger request goes alone. */
const MOST_TOGETHER = 1_000;
/** Jobs that wait for their transaction. */
const MOST_WAITING = 100_000;

/** The jobs of one request: they are stored all or none. */
interface Group {
  jobs: NewJob[];
  answer: PromiseWithResolvers<Enqueued[]>;
}

export interface EnqueueGroupsParts {
  /** The engine's: all or none. */
  enqueue: (jobs: NewJob[]) => Promise<Enqueued[]>;
  /** Kinds that wait for jobs of the same call: such a job must not be put into one call with a stranger's. */
  dependentKinds: ReadonlySet<string>;
  clock: Clock;
}

/**
 * Requests of many clients go to the store together: while one transaction is under way the next gathers. When the
 * whole is refused, halves are tried until the request that is to blame stands alone; so one client's mistake is told
 * to nobody else. No timer is involved: a request that comes alone is stored at once.
 */
export class EnqueueGroups {
  readonly #parts: EnqueueGroupsParts;
  #waiting: Group[] = [];
  #waitingJobs = 0;
  #isWorking = false;

  constructor(parts: EnqueueGroupsParts) {
    this.#parts = parts;
  }

  /** Rejects as the engine does; with 429 when too much waits. */
  enqueue(jobs: NewJob[]): Promise<Enqueued[]> {
    if (this.#waitingJobs > 0 && this.#waitingJobs + jobs.length > MOST_WAITING)
      return Promise.reject(tooMuch('Too many jobs wait for the store'));
    const answer = Promise.withResolvers<Enqueued[]>();
    this.#waiting.push({ jobs, answer });
    this.#waitingJobs += jobs.length;
    if (!this.#isWorking) {
      this.#isWorking = true;
      void this.#work();
    }
    return answer.promise;
  }

  /** Never rejects: each request is answered on its own. */
  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Requests that arrived together are read one after another: each gets its chance to join.
      await this.#parts.clock.breathe();
      await this.#store(this.#next());
    }
    this.#isWorking = false;
  }

  /** In the order in which they came, up to what one transaction takes. */
  #next(): Group[] {
    let jobs = 0;
    let end = 0;
    for (const group of this.#waiting) {
      const isAlone = this.#goesAlone(group);
      if (end > 0 && (isAlone || jobs + group.jobs.length > MOST_TOGETHER)) break;
      jobs += group.jobs.length;
      end += 1;
      if (isAlone) break;
    }
    this.#waitingJobs -= jobs;
    return this.#waiting.splice(0, end);
  }

  #goesAlone({ jobs }: Group): boolean {
    const { dependentKinds } = this.#parts;
    return dependentKinds.size > 0 && jobs.some(({ kind }) => dependentKinds.has(kind));
  }

  async #store(groups: readonly Group[]): Promise<void> {
    try {
      const enqueued = await this.#parts.enqueue(together(groups));
      let from = 0;
      for (const { jobs, answer } of groups) answer.resolve(enqueued.slice(from, (from += jobs.length)));
    } catch (error) {
      if (groups.length > 1 && isRefusal(error)) {
        const half = Math.ceil(groups.length / 2);
        await this.#store(groups.slice(0, half));
        await this.#store(groups.slice(half));
      } else for (const { answer } of groups) answer.reject(error);
    }
  }
}

/** One list; rows that name others are counted anew. */
function together(groups: readonly Group[]): NewJob[] {
  const [only] = groups;
  if (only && groups.length === 1) return only.jobs;
  let before = 0;
  return groups.flatMap(({ jobs }) => {
    const from = before;
    before += jobs.length;
    return jobs.map((job) => {
      if (from === 0 || job.dependsOn === undefined) return job;
      return {
        ...job,
        dependsOn: job.dependsOn.map((parent) => ('row' in parent ? { row: parent.row + from } : parent)),
      };
    });
  });
}

const isRefusal = (error: unknown): boolean =>
  error instanceof HeadwayError && ['bad-request', 'not-found', 'conflict'].includes(error.code);
