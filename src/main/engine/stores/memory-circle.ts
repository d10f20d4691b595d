// The tenants that have ready jobs of one kind, in the order of the circle. A turn costs the same with ten tenants and
// with a hundred thousand: nothing is sorted, a place is found by halving, and a lane that runs empty stays in its place
// until a walk comes by, since most are soon filled again.

/** Lanes in one piece of the circle: inserting moves no more than these. */
const PIECE = 256;

/** A lane, as far as the circle is concerned. */
export interface CircleLane {
  readonly key: string;
  readonly ready: number;
  readonly held: boolean;
  /** The circle has it in its place; only the circle writes this. */
  inCircle: boolean;
}

export class TenantCircle<L extends CircleLane> {
  /** Ascending by key, none empty. */
  readonly #pieces: L[][] = [];

  /** Does nothing when it is in its place. */
  add(lane: L): void {
    if (lane.inCircle) return;
    lane.inCircle = true;
    const { key } = lane;
    const at = Math.max(0, this.#pieceOf(key));
    const piece = this.#pieces[at];
    if (!piece) {
      this.#pieces.push([lane]);
      return;
    }
    piece.splice(firstAbove(piece, key), 0, lane);
    if (piece.length > PIECE) this.#pieces.splice(at + 1, 0, piece.splice(PIECE / 2));
  }

  /** Up to `limit` lanes with ready jobs whose keys are above `after` (all when null) and at most `upTo`. */
  walk(after: string | null, upTo: string | null, limit: number): L[] {
    const found: L[] = [];
    let at = after === null ? 0 : Math.max(0, this.#pieceOf(after));
    let from = after === null ? 0 : firstAbove(this.#pieces[at] ?? [], after);
    while (at < this.#pieces.length && found.length < limit) {
      const piece = this.#pieces[at] ?? [];
      let kept = from;
      let i = from;
      let isPast = false;
      for (; i < piece.length && found.length < limit; i++) {
        const lane = piece[i];
        if (!lane) break;
        if (upTo !== null && lane.key > upTo) {
          isPast = true;
          break;
        }
        if (lane.ready > 0 && !lane.held) {
          found.push(lane);
          piece[kept++] = lane;
        } else lane.inCircle = false;
      }
      // Those that ran empty or were stopped give up their places.
      if (kept < i) piece.splice(kept, i - kept);
      if (isPast) break;
      if (piece.length === 0) this.#pieces.splice(at, 1);
      else at++;
      from = 0;
    }
    return found;
  }

  /** The last piece that begins at or below the key; -1 when all begin above it. */
  #pieceOf(key: string): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const first = this.#pieces[middle]?.[0];
      if (first && first.key <= key) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Index of the first lane whose key is above. */
function firstAbove(lanes: readonly CircleLane[], key: string): number {
  let low = 0;
  let high = lanes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const lane = lanes[middle];
    if (lane && lane.key <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
