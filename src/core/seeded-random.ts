// Chance that can be repeated: simulations and property tests name their seed.

/**
 * A function that yields numbers in [0, 1) like Math.random, the same ones for the same seed. mulberry32 by
 * Tommy Ettinger (public domain): good enough for workloads and tests, never for secrets.
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
