// How much a store is opened for.

/**
 * `work`: an engine's; what is missing is made. `change`: a person's hand on the jobs of a store that is there. `look`:
 * the same, but the database itself lets nothing be written, and stops reads that are slow.
 */
export type StoreAccess = 'work' | 'change' | 'look';
