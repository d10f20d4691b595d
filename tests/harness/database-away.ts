// Which failures of a statement are the database's condition, to be lived through, and which are a mistake.

const AWAY =
  /^(ECONN|EPIPE|ETIMEDOUT|PROTOCOL_|ER_SERVER_SHUTDOWN|ER_CONNECTION_KILLED|ER_CON_COUNT|ER_LOCK_)/;

/**
 * True when mysql2 lost or could not get its connection, or the server gave up on a lock: the same statement may
 * succeed later. Everything else (a missing table, a row of the wrong shape) is a mistake that must surface.
 */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, fatal } = error as Error & { code?: unknown; fatal?: unknown }; // mysql2 adds both.
  return fatal === true || (typeof code === 'string' && AWAY.test(code));
}
