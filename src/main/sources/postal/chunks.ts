import { TENANTS_PER_STATEMENT } from './sql.ts';

/** `all` in parts that one statement can ask about. */
export function* chunks<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += TENANTS_PER_STATEMENT) {
    yield all.slice(from, from + TENANTS_PER_STATEMENT);
  }
}
