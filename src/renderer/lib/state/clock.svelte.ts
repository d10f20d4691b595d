// The time of day for "since" and "in 5 s": one tick a second for the whole window, none while it is hidden.
export class Clock {
  nowMs = $state(Date.now());
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(page: Pick<Document, 'hidden'>) {
    this.#timer = setInterval(() => {
      if (!page.hidden) this.nowMs = Date.now();
    }, 1_000);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
