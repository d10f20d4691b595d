// What this process may still take on, by how much memory it has left (incident 4: act at 75-80 %, never crash).
import { MemoryPressure, type Pressure } from '../../core/memory-pressure.ts';

/** Asking costs a system call or two. */
const ASK_EVERY_MS = 1_000;

export interface MemoryGuardParts {
  /** This process, bytes. */
  memory: () => { rssBytes: number; limitBytes: number };
  /** Memory is short: what is kept for later should go. */
  recycle: () => void;
  onProblem: (problem: Error) => void;
}

export class MemoryGuard {
  readonly #parts: MemoryGuardParts;
  readonly #pressure = new MemoryPressure();
  #askedAtMs = -Infinity;

  constructor(parts: MemoryGuardParts) {
    this.#parts = parts;
  }

  get pressure(): Pressure {
    return this.#pressure.now;
  }

  /** When the next look is due while memory is short; Infinity when it is not. */
  get lookAtMs(): number {
    return this.pressure === 'normal' ? Infinity : this.#askedAtMs + ASK_EVERY_MS;
  }

  /** Of `workers`, how many may be busy now: half of them while memory is short, none near the limit. */
  allows(workers: number, nowMs: number): number {
    this.#look(nowMs);
    switch (this.pressure) {
      case 'normal':
        return workers;
      case 'claim-less':
      case 'recycle':
        return Math.ceil(workers / 2);
      case 'stop-claiming':
        return 0;
    }
  }

  #look(nowMs: number): void {
    // A clock that is set back asks at once.
    if (Math.abs(nowMs - this.#askedAtMs) < ASK_EVERY_MS) return;
    this.#askedAtMs = nowMs;
    const { memory, recycle, onProblem } = this.#parts;
    const { rssBytes, limitBytes } = memory();
    const before = this.pressure;
    const now = this.#pressure.update(rssBytes, limitBytes);
    if (now === before) return;
    if (now === 'recycle' || now === 'stop-claiming') recycle();
    if (now === 'stop-claiming') {
      const used = `${megabytes(rssBytes)} of ${megabytes(limitBytes)} MB`;
      onProblem(new Error(`memory is nearly used up (${used}); no job is started until there is more`));
    }
  }
}

const megabytes = (bytes: number): number => Math.round(bytes / 2 ** 20);
