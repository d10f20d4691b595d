// Percentiles of durations that can be merged: over minutes, tenants and weeks, without keeping the values.
//
// The idea is DDSketch's (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
// Relative-Error Guarantees", VLDB 2019): bucket i counts the values in (γ^(i-1), γ^i]; the middle value
// 2γ^i/(γ+1) is off by at most α = (γ-1)/(γ+1) of the true one. The paper bounds memory by collapsing the
// lowest buckets; here the range itself is bounded (SMALLEST to LARGEST), so that any two sketches have the same
// buckets, and a part can be taken out again exactly as it was put in (a sliding window needs that).

/** The greatest relative error of a quantile. */
export const RELATIVE_ERROR = 0.01;
/** Values under this count as zero. In ms: a microsecond. */
export const SMALLEST = 1e-3;
/** Values over this fall into the last bucket. In ms: eleven days. */
export const LARGEST = 1e9;

const GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR);
const LOG_GAMMA = Math.log(GAMMA);
const LOWEST_INDEX = Math.ceil(Math.log(SMALLEST) / LOG_GAMMA);
/** No sketch has more buckets than this. */
export const MAX_BUCKETS = Math.ceil(Math.log(LARGEST) / LOG_GAMMA) - LOWEST_INDEX + 1;

/** A counted set of non-negative values that answers quantiles within RELATIVE_ERROR. */
export class QuantileSketch {
  #count = 0;
  #zeros = 0;
  #min = Infinity;
  #max = -Infinity;
  /** Counts of the buckets `#first`, `#first + 1`, …; numbered from the bucket of SMALLEST. */
  #counts: number[] = [];
  #first = 0;

  get count(): number {
    return this.#count;
  }
  /** The smallest value, exact; null when empty. */
  get min(): number | null {
    return this.#count === 0 ? null : this.#min;
  }
  /** The largest value, exact; null when empty. */
  get max(): number | null {
    return this.#count === 0 ? null : this.#max;
  }

  /** Adds `times` observations of a value >= 0. Throws on NaN, infinity and negatives: those are bugs. */
  add(value: number, times = 1): void {
    if (!(value >= 0 && value < Infinity)) throw new RangeError(`not a duration: ${value}`);
    if (times <= 0) return;
    this.#count += times;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    if (value < SMALLEST) this.#zeros += times;
    else this.#bump(bucketOf(value), times);
  }

  /** Adds everything the other sketch has seen. */
  merge(other: QuantileSketch): void {
    this.#count += other.#count;
    this.#zeros += other.#zeros;
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
    other.#eachBucket((bucket, times) => this.#bump(bucket, times));
  }

  /**
   * Takes out what was merged or added before. `min` and `max` cannot be taken back: they stay as bounds until
   * the sketch is empty.
   */
  subtract(part: QuantileSketch): void {
    this.#count -= part.#count;
    this.#zeros -= part.#zeros;
    part.#eachBucket((bucket, times) => this.#bump(bucket, -times));
    if (this.#count === 0) {
      this.#min = Infinity;
      this.#max = -Infinity;
      this.#counts = [];
    }
  }

  /**
   * The value below which the fraction `q` (0 to 1) of the observations lies: the one of rank
   * floor(q × (count − 1)) in ascending order, within RELATIVE_ERROR. Null when empty.
   */
  quantile(q: number): number | null {
    return this.quantiles([q])[0] ?? null;
  }

  /** Several quantiles in one pass; `qs` ascending. Empty when the sketch is. */
  quantiles(qs: readonly number[]): number[] {
    if (this.#count === 0) return [];
    let seen = this.#zeros;
    let i = -1;
    return qs.map((q) => {
      const rank = Math.floor(Math.min(1, Math.max(0, q)) * (this.#count - 1));
      while (rank >= seen && i < this.#counts.length) seen += this.#counts[++i] ?? 0;
      return this.#clamp(i < 0 ? 0 : middleOf(this.#first + i));
    });
  }

  /** As bytes: [zeros, min, max, then (step to the next bucket, count) pairs], see `decode`. */
  encode(): Uint8Array {
    const pairs: number[] = [];
    let previous = 0;
    this.#eachBucket((bucket, times) => {
      pushVarint(pairs, bucket - previous);
      pushVarint(pairs, times);
      previous = bucket;
    });
    const head: number[] = [];
    pushVarint(head, this.#zeros);
    const bytes = new Uint8Array(1 + 16 + head.length + pairs.length);
    bytes[0] = FORMAT;
    const view = new DataView(bytes.buffer);
    view.setFloat64(1, this.#min);
    view.setFloat64(9, this.#max);
    bytes.set(head, 17);
    bytes.set(pairs, 17 + head.length);
    return bytes;
  }

  /** The sketch that was encoded. Throws RangeError on bytes that no sketch wrote. */
  static decode(bytes: Uint8Array): QuantileSketch {
    if (bytes.length < 18 || bytes[0] !== FORMAT) throw new RangeError('not an encoded sketch');
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const sketch = new QuantileSketch();
    sketch.#min = view.getFloat64(1);
    sketch.#max = view.getFloat64(9);
    const reader = { bytes, at: 17 };
    sketch.#zeros = readVarint(reader);
    sketch.#count = sketch.#zeros;
    for (let bucket = 0; reader.at < bytes.length;) {
      bucket += readVarint(reader);
      const times = readVarint(reader);
      if (bucket >= MAX_BUCKETS) throw new RangeError('not an encoded sketch: no such bucket');
      sketch.#bump(bucket, times);
      sketch.#count += times;
    }
    return sketch;
  }

  #eachBucket(visit: (bucket: number, times: number) => void): void {
    for (let i = 0; i < this.#counts.length; i++) {
      const times = this.#counts[i] ?? 0;
      if (times > 0) visit(this.#first + i, times);
    }
  }

  #bump(bucket: number, times: number): void {
    if (this.#counts.length === 0) this.#first = bucket;
    if (bucket < this.#first) {
      this.#counts = [...new Array<number>(this.#first - bucket).fill(0), ...this.#counts];
      this.#first = bucket;
    }
    const i = bucket - this.#first;
    while (i >= this.#counts.length) this.#counts.push(0);
    this.#counts[i] = (this.#counts[i] ?? 0) + times;
  }

  /** A bucket's middle may lie beyond the values that are in it. */
  #clamp(value: number): number {
    return Math.min(this.#max, Math.max(this.#min, value));
  }
}

/** First byte of an encoded sketch; another relative error or range needs another number. */
export const FORMAT = 1;

/** The bucket of a value from SMALLEST on, from 0. */
export function bucketOf(value: number): number {
  const index = Math.ceil(Math.log(Math.min(value, LARGEST)) / LOG_GAMMA);
  return Math.max(0, index - LOWEST_INDEX);
}

/** The value that stands for all of a bucket. */
export function middleOf(bucket: number): number {
  return (2 * Math.exp((bucket + LOWEST_INDEX) * LOG_GAMMA)) / (GAMMA + 1);
}

/** Seven bits a byte, lowest first; the high bit says that more follow. */
function pushVarint(bytes: number[], value: number): void {
  while (value >= 128) {
    bytes.push((value % 128) + 128);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
}

function readVarint(reader: { bytes: Uint8Array; at: number }): number {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = reader.bytes[reader.at++];
    if (byte === undefined || scale > 2 ** 49) throw new RangeError('not an encoded sketch: cut off');
    value += (byte % 128) * scale;
    if (byte < 128) return value;
  }
}
