// How busy the workers were over the window.
export class WorkerLoad {
  readonly #windowMs: number;
  #samples: { atMs: number; busy: number; total: number }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** A source that does not tell how many workers there are adds nothing. */
  add(atMs: number, { busy, total }: { busy: number | null; total: number | null }): void {
    if (busy === null || total === null || total === 0) return;
    this.#samples = this.#samples.filter((sample) => sample.atMs > atMs - this.#windowMs);
    this.#samples.push({ atMs, busy, total });
  }

  /** Busy of available worker time, 0 to 1, by samples of equal distance; null when not known. */
  utilisation(nowMs: number): number | null {
    const recent = this.#samples.filter((sample) => sample.atMs > nowMs - this.#windowMs);
    const total = recent.reduce((sum, sample) => sum + sample.total, 0);
    return total === 0 ? null : recent.reduce((sum, sample) => sum + sample.busy, 0) / total;
  }
}
