// How short memory is, and what to do about it: at 75 % of the limit claim less, at 80 % recycle workers after their job,
// at 90 % stop claiming (incident 4: act at 75-80 %, never crash).

const levels = ['normal', 'claim-less', 'recycle', 'stop-claiming'] as const;
export type Pressure = (typeof levels)[number];

/** From which share of the limit each level holds. */
const from = [0, 0.75, 0.8, 0.9] as const;
/** A level is left only so far below it, so that a value swinging around it does not flap. */
const HYSTERESIS = 0.03;

export class MemoryPressure {
  #level = 0;

  get now(): Pressure {
    return levels[this.#level] ?? 'normal';
  }

  /** A new reading, in bytes. */
  update(usedBytes: number, limitBytes: number): Pressure {
    const share = usedBytes / limitBytes;
    const up = from.findLastIndex((level) => share >= level);
    const down = from.findLastIndex((level) => share + HYSTERESIS >= level);
    this.#level = Math.min(Math.max(this.#level, up), down);
    return this.now;
  }
}
