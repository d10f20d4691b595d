// Sketches as flat arrays: what a day of a thousand tenants is merged with, where an object a sketch costs too much.
//
// The buckets are those of sketch.ts. Place 0 holds the values under SMALLEST; the bucket i stands at i + 1.
import { bucketOf, FORMAT, MAX_BUCKETS, middleOf, SMALLEST } from './sketch.ts';

/** Places that a value may have. */
export const PLACES = MAX_BUCKETS + 1;

export const placeOf = (value: number): number => (value < SMALLEST ? 0 : bucketOf(value) + 1);
export const valueOfPlace = (place: number): number => (place === 0 ? 0 : middleOf(place - 1));

/** Part `i` of a series: what fell into one slot of time. */
export interface SketchSlot {
  tMs: number;
  /** Pairs of the series' arrays that are this slot's: from `at`, before `end`. */
  at: number;
  end: number;
  count: number;
  min: number;
  max: number;
}

/** All zero but while a slot is sorted. */
const scratch = new Uint32Array(PLACES);

/** The sketches of one stage in the order of time, each as its (place, times) pairs. */
export class SketchSeries {
  readonly #slots: SketchSlot[] = [];
  places = new Uint16Array(64);
  times = new Uint32Array(64);
  #length = 0;
  /** The newest slot's pairs are not in the order of their places. */
  #unsorted = false;

  /** In the order of time; the pairs of each in the order of their places, each place once. */
  get slots(): readonly SketchSlot[] {
    if (this.#unsorted) this.#sort();
    return this.#slots;
  }

  /** Adds an encoded sketch, the bytes of `view` in [from, to). Throws RangeError on bytes that no sketch wrote. */
  push(tMs: number, view: DataView, from: number, to: number): void {
    if (to - from < 18 || view.getUint8(from) !== FORMAT) throw new RangeError('not an encoded sketch');
    const slot = this.#slotAt(tMs);
    slot.min = Math.min(slot.min, view.getFloat64(from + 1));
    slot.max = Math.max(slot.max, view.getFloat64(from + 9));
    let at = from + 17;
    const varint = (): number => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        if (at >= to || scale > 2 ** 49) throw new RangeError('not an encoded sketch: cut off');
        const byte = view.getUint8(at++);
        if (byte < 128) return value + byte * scale;
        value += (byte - 128) * scale;
      }
    };
    const zeros = varint();
    if (zeros > 0) this.#pair(slot, 0, zeros);
    for (let bucket = 0; at < to;) {
      bucket += varint();
      if (bucket >= MAX_BUCKETS) throw new RangeError('not an encoded sketch: no such bucket');
      this.#pair(slot, bucket + 1, varint());
    }
  }

  /** Adds one value to a slot, which is the last or a later one. */
  pushValue(tMs: number, value: number): void {
    const slot = this.#slotAt(tMs);
    slot.min = Math.min(slot.min, value);
    slot.max = Math.max(slot.max, value);
    this.#pair(slot, placeOf(value), 1);
  }

  /** Adds a slot of another series, which is not before the last. */
  append(series: SketchSeries, { tMs, at, end, min, max }: SketchSlot): void {
    const slot = this.#slotAt(tMs);
    slot.min = Math.min(slot.min, min);
    slot.max = Math.max(slot.max, max);
    for (let i = at; i < end; i++) this.#pair(slot, series.places[i] ?? 0, series.times[i] ?? 0);
  }

  #slotAt(tMs: number): SketchSlot {
    const last = this.#slots[this.#slots.length - 1];
    if (last?.tMs === tMs) return last;
    if (this.#unsorted) this.#sort();
    const slot = { tMs, at: this.#length, end: this.#length, count: 0, min: Infinity, max: -Infinity };
    this.#slots.push(slot);
    return slot;
  }

  #pair(slot: SketchSlot, place: number, times: number): void {
    if (this.#length === this.places.length) {
      const [places, counts] = [this.places, this.times];
      this.places = new Uint16Array(this.#length * 2);
      this.times = new Uint32Array(this.#length * 2);
      this.places.set(places);
      this.times.set(counts);
    }
    if (this.#length > slot.at && place <= (this.places[this.#length - 1] ?? 0)) this.#unsorted = true;
    this.places[this.#length] = place;
    this.times[this.#length] = times;
    slot.end = ++this.#length;
    slot.count += times;
  }

  #sort(): void {
    this.#unsorted = false;
    const slot = this.#slots[this.#slots.length - 1];
    if (slot === undefined) return;
    const { places, times } = this;
    let [lowest, highest] = [PLACES, -1];
    for (let i = slot.at; i < slot.end; i++) {
      const place = places[i] ?? 0;
      scratch[place] = (scratch[place] ?? 0) + (times[i] ?? 0);
      if (place < lowest) lowest = place;
      if (place > highest) highest = place;
    }
    let end = slot.at;
    for (let place = lowest; place <= highest; place++) {
      const count = scratch[place] ?? 0;
      if (count === 0) continue;
      places[end] = place;
      times[end++] = count;
    }
    scratch.fill(0, lowest, highest + 1);
    slot.end = this.#length = end;
  }
}

/** How often each place was seen, over any number of slots. */
export class BucketCounts {
  readonly #times = new Uint32Array(PLACES);
  #lowest = PLACES;
  #highest = -1;
  #min = Infinity;
  #max = -Infinity;
  count = 0;

  /** The largest value, exact; null when empty. */
  get max(): number | null {
    return this.count === 0 ? null : this.#max;
  }

  add(series: SketchSeries, slot: SketchSlot): void {
    const { places, times } = series;
    for (let i = slot.at; i < slot.end; i++) {
      const place = places[i] ?? 0;
      this.#times[place] = (this.#times[place] ?? 0) + (times[i] ?? 0);
      if (place < this.#lowest) this.#lowest = place;
      if (place > this.#highest) this.#highest = place;
    }
    this.count += slot.count;
    this.#min = Math.min(this.#min, slot.min);
    this.#max = Math.max(this.#max, slot.max);
  }

  /** As QuantileSketch.quantiles: of rank floor(q × (count − 1)); `qs` ascending. Empty when nothing was added. */
  quantiles(qs: readonly number[]): number[] {
    if (this.count === 0) return [];
    let place = this.#lowest;
    let seen = this.#times[place] ?? 0;
    return qs.map((q) => {
      const rank = Math.floor(q * (this.count - 1));
      while (rank >= seen && place < this.#highest) seen += this.#times[++place] ?? 0;
      return this.#clamp(valueOfPlace(place));
    });
  }

  /** Every value, ascending, each within RELATIVE_ERROR; for sets of a few. */
  values(): number[] {
    const values: number[] = [];
    for (let place = this.#lowest; place <= this.#highest; place++)
      for (let left = this.#times[place] ?? 0; left > 0; left--)
        values.push(this.#clamp(valueOfPlace(place)));
    return values;
  }

  clear(): void {
    if (this.count > 0) this.#times.fill(0, this.#lowest, this.#highest + 1);
    this.#lowest = PLACES;
    this.#highest = -1;
    this.#min = Infinity;
    this.#max = -Infinity;
    this.count = 0;
  }

  #clamp(value: number): number {
    return Math.min(this.#max, Math.max(this.#min, value));
  }
}
