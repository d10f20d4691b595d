/** `all` in parts of at most `size`, so that no statement grows with the number of tenants. */
export function* chunks<T>(all: readonly T[], size: number): Generator<T[]> {
  for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size);
}
