// The seam of the history room: samples, timing and events go in; buckets for charts come out.
import type { AlertEvent, Alert } from '../../core/alert.ts';
import type { TimingRecord } from '../../core/timing.ts';
import type { History, HistoryQuery } from '../../contract/history.ts';
import type { TimingAnalysis, TimingAnalysisQuery } from '../../contract/log-search.ts';

/** What is remembered of one tenant from one poll. Counts are values without their bound. */
export interface SampleRow {
  tenantId: string;
  lagMs: number | null;
  ready: number;
  delayed: number;
  running: number;
  stale: number;
  /** New arrivals and finished attempts since the previous sample; null when not known. */
  arrivals: number | null;
  attempts: number | null;
}

export interface HistoryStore extends AsyncDisposable {
  /** One poll of one connection, local time. Returns at once; writes are batched off the main loop. */
  addSamples(connectionId: string, atMs: number, rows: SampleRow[]): void;
  /** Finished attempts from a log; `wait` may stand among the stages. Kept as mergeable sketches. */
  addTimings(connectionId: string, atMs: number, records: TimingRecord[]): void;
  /** Monitoring of a connection stopped; ends any earlier gap that is still open. */
  openGap(connectionId: string, atMs: number, reason: string): void;
  closeGap(connectionId: string, atMs: number): void;
  /** Alert events are kept for ever within the budget; alerts are kept so that a restart goes on with them. */
  addAlertEvents(events: AlertEvent[]): void;
  saveAlerts(alerts: Alert[]): void;
  loadAlerts(): Promise<{ alerts: Alert[]; events: AlertEvent[] }>;
  query(query: HistoryQuery): Promise<History>;
  /** Where time went over a range, by merged sketches. */
  timingAnalysis(query: TimingAnalysisQuery): Promise<TimingAnalysis>;
  /** Waits until everything handed over so far is on disk. */
  flush(): Promise<void>;
}
