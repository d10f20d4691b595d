import type { HeadwayError } from '../../../contract/errors.ts';
import type { Clock } from '../clock.ts';
import type { Enqueued, NewJob } from '../job.ts';
import { tooMuch } from './http-answer.ts';

/** Jobs of one store transaction: what a commit costs is spread over this many. */
const MOST_TOGETHER = 500;
/** Jobs that wait for their transaction. */
const MOST_WAITING = 10_000;

interface Waiting {
  job: NewJob;
  answer: PromiseWithResolvers<Enqueued>;
}

/**
 * Jobs that come one by one from many clients go to the store together: while one transaction is under way the next
 * gathers. No timer is involved, so a job that comes alone is stored at once.
 */
export class EnqueueGroups {
  readonly #enqueueEach: (jobs: NewJob[]) => Promise<(Enqueued | HeadwayError)[]>;
  readonly #clock: Clock;
  #waiting: Waiting[] = [];
  #working = false;

  constructor(enqueueEach: (jobs: NewJob[]) => Promise<(Enqueued | HeadwayError)[]>, clock: Clock) {
    this.#enqueueEach = enqueueEach;
    this.#clock = clock;
  }

  /** Rejects as the engine does; with 429 when too many wait. */
  enqueue(job: NewJob): Promise<Enqueued> {
    if (this.#waiting.length >= MOST_WAITING)
      return Promise.reject(tooMuch('Too many jobs wait for the store'));
    const answer = Promise.withResolvers<Enqueued>();
    this.#waiting.push({ job, answer });
    if (!this.#working) {
      this.#working = true;
      void this.#work();
    }
    return answer.promise;
  }

  /** Never rejects: each job is answered on its own. */
  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Requests that arrived together are read one after another: each gets its chance to join.
      await this.#clock.breathe();
      const group = this.#waiting.splice(0, MOST_TOGETHER);
      try {
        const answers = await this.#enqueueEach(group.map(({ job }) => job));
        for (const [i, { answer }] of group.entries()) {
          const given = answers[i];
          if (given === undefined) answer.reject(new Error('the engine left a job unanswered'));
          else if (given instanceof Error) answer.reject(given);
          else answer.resolve(given);
        }
      } catch (error) {
        for (const { answer } of group) answer.reject(error);
      }
    }
    this.#working = false;
  }
}
