// What watching costs the database: the time and rows of our own reads in the last minute.
const SPAN_MS = 60_000;

export class WatchCost {
  #polls: { atMs: number; durationMs: number; rowsRead: number | null }[] = [];

  add(atMs: number, cost: { durationMs: number; rowsRead: number | null }): void {
    this.#polls = this.#polls.filter((poll) => poll.atMs > atMs - SPAN_MS);
    this.#polls.push({ atMs, ...cost });
  }

  /**
   * Per minute, from the last minute's polls (scaled up while less than a minute is known); null before the
   * first. Rows are scaled from those polls that measured them; null when none did.
   */
  perMinute(nowMs: number): { msPerMin: number; rowsPerMin: number | null } | null {
    const polls = this.#polls.filter((poll) => poll.atMs > nowMs - SPAN_MS);
    const [first, second] = polls;
    if (first === undefined) return null;
    const intervalMs = second === undefined ? SPAN_MS : (nowMs - first.atMs) / (polls.length - 1);
    const perMin = Math.min(SPAN_MS / Math.max(intervalMs, 1), SPAN_MS);
    const measured = polls.flatMap(({ rowsRead }) => (rowsRead === null ? [] : [rowsRead]));
    return {
      msPerMin: mean(polls.map(({ durationMs }) => durationMs)) * perMin,
      rowsPerMin: measured.length === 0 ? null : mean(measured) * perMin,
    };
  }
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
