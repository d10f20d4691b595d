// Natural numbers and bytes in a row, as compact as they are.

/** Grows as it is written to. */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(expected = 64) {
    this.#bytes = new Uint8Array(Math.max(16, expected));
  }

  /** A natural number up to 2^53: seven bits a byte, lowest first; the high bit says that more follow. */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a natural number: ${value}`);
    this.#reserve(8);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** Bytes with their length before them. */
  block(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** What was written so far; a view, valid until more is written. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads what a ByteWriter wrote; throws RangeError where the bytes end too soon. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError('the bytes are cut off');
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError('not a natural number');
  }

  /** Where the next byte to be read stands. */
  get at(): number {
    return this.#at;
  }

  /** Passes over a block; where it began. */
  skipBlock(): number {
    const length = this.varint();
    if (length > this.left) throw new RangeError('the bytes are cut off');
    this.#at += length;
    return this.#at - length;
  }

  block(): Uint8Array {
    const length = this.varint();
    if (length > this.left) throw new RangeError('the bytes are cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
