// Counts of queues that are longer than a poll looks: learnt of a few tenants each poll, in turn, and remembered, so that a
// poll of a thousand tenants costs no more than its heads.
import { estimate, type Count } from '../../../core/count.ts';

export interface Depth {
  ready: Count;
  delayed: Count;
}

export class DepthMemory<Id> {
  readonly #perPoll: number;
  /** In the order in which they were learnt, the longest ago first. */
  readonly #learnt = new Map<Id, Depth>();

  /** `perPoll`: tenants that one poll looks deeper at. */
  constructor(perPoll: number) {
    this.#perPoll = perPoll;
  }

  /** Of the tenants whose queues are longer than their heads, those to look deeper at now: unknown ones, then the longest ago. */
  pick(long: readonly Id[]): Id[] {
    const present = new Set(long);
    // A queue that grew short and long again is another one.
    for (const id of this.#learnt.keys()) if (!present.has(id)) this.#learnt.delete(id);
    const unknown = long.filter((id) => !this.#learnt.has(id));
    return [...unknown, ...this.#learnt.keys()].slice(0, this.#perPoll);
  }

  learn(id: Id, { ready, delayed }: Depth): void {
    this.#learnt.delete(id);
    this.#learnt.set(id, { ready, delayed });
  }

  /** What is known of a tenant that was not looked deeper at: what its head shows, or more by what was learnt before. */
  recall(id: Id, seen: Depth): Depth {
    const learnt = this.#learnt.get(id);
    if (learnt === undefined) return seen;
    return { ready: larger(seen.ready, learnt.ready), delayed: larger(seen.delayed, learnt.delayed) };
  }
}

/** Never less than what is seen now. What was counted then is an estimate now; a bound stays one, as nothing tells how much more there is. */
function larger(seen: Count, learnt: Count): Count {
  if (seen.kind === 'exact' || learnt.value <= seen.value) return seen;
  return learnt.kind === 'at-least' ? learnt : estimate(learnt.value);
}
