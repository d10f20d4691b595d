/** What the HTTP face counts of itself, for /metrics. */
export interface IntakeCounts {
  /** By "route status". */
  readonly requests: ReadonlyMap<string, number>;
  readonly enqueued: number;
  /** Their idempotency key was known. */
  readonly known: number;
  readonly refused: number;
  /** In flight. */
  requestBytes(): number;
  answerBytes(): number;
}
