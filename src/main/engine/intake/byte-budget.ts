/** A part of a budget in one request's hands; disposing of it gives it back, again is harmless. */
export interface ByteShare extends Disposable {
  /** Holds `bytes` in all from now on; false, and nothing changed, when there is no room for more. */
  resize(bytes: number): boolean;
}

/**
 * Bytes that may be in flight at once, over all requests. One request alone is always let in, however large: its own
 * limit is another matter.
 */
export class ByteBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Null when there is no room now. */
  reserve(bytes: number): ByteShare | null {
    let held = 0;
    const resize = (wanted: number): boolean => {
      const others = this.#usedBytes - held;
      if (wanted > held && others > 0 && others + wanted > this.#limitBytes) return false;
      this.#usedBytes = others + wanted;
      held = wanted;
      return true;
    };
    if (!resize(bytes)) return null;
    return { resize, [Symbol.dispose]: () => void resize(0) };
  }
}
