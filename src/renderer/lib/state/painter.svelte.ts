// The one gate between live data and the screen: each part is painted at most 10 times a second and in a frame of its
// own, so that two of them never make one long frame; nothing is painted while the window is hidden (a hidden page
// gets no animation frames) or while refresh is paused. Data goes on arriving behind it.

export interface Frames {
  request(callback: () => void): number;
  cancel(handle: number): void;
  now(): number;
}

/** The eye needs no more than 10 updates a second. */
const MIN_INTERVAL_MS = 95;

export class Painter {
  /** Why the screen stands still; null while it is live. */
  pausedAtMs = $state<number | null>(null);
  readonly #frames: Frames;
  /** In the order in which they were asked. */
  readonly #due = new Set<() => void>();
  readonly #paintedMs = new WeakMap<() => void, number>();
  #handle: number | null = null;

  constructor(frames: Frames) {
    this.#frames = frames;
  }

  /** Runs `paint` on the next free frame; asked twice before it, it runs once. */
  request(paint: () => void): void {
    this.#due.add(paint);
    this.#wake();
  }

  /** Takes back what was asked: for whoever is disposed of. */
  forget(paint: () => void): void {
    this.#due.delete(paint);
  }

  /** Stops or resumes painting; what arrived meanwhile is painted at once. */
  toggle(nowMs: number): void {
    this.pausedAtMs = this.pausedAtMs === null ? nowMs : null;
    if (this.pausedAtMs === null) this.#wake();
  }

  #wake(): void {
    if (this.#handle !== null || this.#due.size === 0 || this.pausedAtMs !== null) return;
    this.#handle = this.#frames.request(() => this.#frame());
  }

  #frame(): void {
    this.#handle = null;
    if (this.pausedAtMs !== null) return;
    const nowMs = this.#frames.now();
    for (const paint of this.#due) {
      if (nowMs - (this.#paintedMs.get(paint) ?? -Infinity) < MIN_INTERVAL_MS) continue;
      this.#due.delete(paint);
      this.#paintedMs.set(paint, nowMs);
      paint();
      break;
    }
    this.#wake();
  }

  [Symbol.dispose](): void {
    this.#due.clear();
    if (this.#handle !== null) this.#frames.cancel(this.#handle);
    this.#handle = null;
  }
}
