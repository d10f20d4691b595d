// One open history file: keeps entries, answers queries, rolls up, lets go. Synchronous; lives in a worker thread.
import type { DatabaseSync } from 'node:sqlite';
import { alertEventSchema, alertSchema, type Alert, type AlertEvent } from '../../core/alert.ts';
import type { TimingRecord } from '../../core/timing.ts';
import type { History, HistoryQuery } from '../../contract/history.ts';
import type { TimingAnalysis, TimingAnalysisQuery } from '../../contract/log-search.ts';
import { RUN } from './attempts.ts';
import type { SampleRow } from './history-store.ts';
import type { Entry } from './messages.ts';
import { Names } from './names.ts';
import { OpenMinutes } from './open-minutes.ts';
import { queryHistory, type HistoryParts } from './queries.ts';
import { Retention } from './retention.ts';
import { RollUp } from './roll-up.ts';
import { keepAside, openHistoryFile, storageFailed, transaction, unusable, type SetAside } from './schema.ts';
import { queryTimings } from './timing-query.ts';
import { ChunkTable, HOURS, MINUTES, QUARTERS, RAW } from './tiers.ts';

/** Stages of one attempt that are kept; a log line can name any number. */
const MAX_STAGES_PER_ATTEMPT = 32;
/** Alert events that a restart goes on with. */
const EVENTS_LOADED = 500;

export interface HistoryFileOptions {
  file: string;
  budgetBytes: number;
  nowMs: number;
  /** Why nothing was kept since the file was last alive; that time becomes a gap of every connection. */
  pause: string;
  /** Whether gaps that are still open ended when the file was last alive. */
  endGaps: boolean;
}

export class HistoryFile implements Disposable {
  readonly setAside: SetAside | null;
  readonly #db: DatabaseSync;
  readonly #names: Names;
  readonly #tables: readonly [ChunkTable, ChunkTable, ChunkTable];
  readonly #hours: ChunkTable;
  readonly #rollUp: RollUp;
  readonly #retention: Retention;
  readonly #minutes: OpenMinutes;

  private constructor(db: DatabaseSync, setAside: SetAside | null, options: HistoryFileOptions) {
    this.#db = db;
    this.setAside = setAside;
    this.#names = new Names(db);
    this.#tables = [new ChunkTable(db, RAW), new ChunkTable(db, MINUTES), new ChunkTable(db, QUARTERS)];
    this.#hours = new ChunkTable(db, HOURS);
    this.#rollUp = new RollUp(db, this.#tables, this.#hours);
    this.#retention = new Retention(db, [...this.#tables, this.#hours], this.#rollUp, options.budgetBytes);
    this.#minutes = new OpenMinutes(db, this.#tables[0], this.#retention.keptFromMs(RAW) / RAW.spanMs);
    this.#pausedSince(options);
  }

  /**
   * Opens or creates the file. A damaged one, or one of a newer Headway, is kept under another name and a new one
   * begun. Throws 'storage-failed' when it cannot be opened or another Headway has it open.
   */
  static open(options: HistoryFileOptions): HistoryFile {
    const { file, nowMs } = options;
    const open = (setAside: SetAside | null): HistoryFile => {
      const db = openHistoryFile(file);
      try {
        return new HistoryFile(db, setAside, options);
      } catch (error) {
        db.close();
        throw error;
      }
    };
    try {
      return open(null);
    } catch (error) {
      const reason = unusable(error);
      if (reason === null) throw storageFailed(file, error);
      try {
        return open(keepAside(file, reason, nowMs));
      } catch (again) {
        throw storageFailed(file, again);
      }
    }
  }

  /** Samples and attempts that could not be kept. */
  get dropped(): number {
    return this.#minutes.dropped;
  }

  /**
   * Samples and attempts are in memory until the next `write`; gaps and alerts, which are few, go to the file at
   * once. Not one transaction: a roll-back would take numbers back that memory holds samples under.
   */
  keep(entries: readonly Entry[]): void {
    for (const entry of entries) this.#keepOne(entry);
  }

  /** Brings everything kept so far to the file, and says that Headway was alive at `nowMs`. */
  write(nowMs: number): void {
    this.#minutes.write();
    this.#db.prepare(`INSERT OR REPLACE INTO meta (key, value) VALUES ('alive', ?)`).run(Math.round(nowMs));
  }

  query(query: HistoryQuery): History {
    return queryHistory(this.#parts(), query);
  }

  timingAnalysis(query: TimingAnalysisQuery): TimingAnalysis {
    return queryTimings({ ...this.#parts(), hours: this.#hours }, query);
  }

  /** Writes, then one slice of roll-up or of letting go. True when more is to be done. */
  maintain(nowMs: number): boolean {
    this.write(nowMs);
    if (this.#rollUp.step(nowMs, this.#names.lastSeries)) return true;
    const more = this.#retention.step(nowMs);
    this.#minutes.forgetBefore(this.#retention.keptFromMs(RAW) / RAW.spanMs);
    return more;
  }

  loadAlerts(): { alerts: Alert[]; events: AlertEvent[] } {
    const alerts = this.#db.prepare('SELECT alert FROM alerts').all();
    const events = this.#db
      .prepare('SELECT event FROM alert_events ORDER BY seq DESC LIMIT ?')
      .all(EVENTS_LOADED)
      .reverse();
    return {
      alerts: alerts.map((row) => alertSchema.parse(JSON.parse(String(row['alert'])))),
      events: events.map((row) => alertEventSchema.parse(JSON.parse(String(row['event'])))),
    };
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  /** What a query reads from, with everything kept so far in the file. */
  #parts(): HistoryParts {
    this.#minutes.write();
    return {
      db: this.#db,
      names: this.#names,
      tables: this.#tables,
      rollUp: this.#rollUp,
      retention: this.#retention,
    };
  }

  #keepOne(entry: Entry): void {
    switch (entry.kind) {
      case 'samples':
        for (const row of entry.rows) this.#keepSample(entry.connectionId, entry.atMs, row);
        return;
      case 'timings':
        for (const record of entry.records) this.#keepAttempt(entry.connectionId, entry.atMs, record);
        return;
      case 'open-gap':
        this.#endGaps(entry.atMs, entry.connectionId);
        this.#beginGap(entry.connectionId, entry.atMs, null, entry.reason);
        return;
      case 'close-gap':
        this.#endGaps(entry.atMs, entry.connectionId);
        return;
      case 'alert-events':
        for (const event of entry.events) {
          this.#db
            .prepare(
              'INSERT OR REPLACE INTO alert_events (seq, at_ms, connection, event) VALUES (?, ?, ?, ?)',
            )
            .run(event.seq, Math.round(event.atMs), event.connectionId, JSON.stringify(event));
        }
        return;
      case 'alerts':
        for (const alert of entry.alerts) {
          // A normal alert is as if it had never been; its past is in the events.
          if (alert.state === 'normal') this.#db.prepare('DELETE FROM alerts WHERE id = ?').run(alert.id);
          else {
            this.#db
              .prepare('INSERT OR REPLACE INTO alerts (id, alert) VALUES (?, ?)')
              .run(alert.id, JSON.stringify(alert));
          }
        }
    }
  }

  #keepSample(connectionId: string, atMs: number, row: SampleRow): void {
    this.#minutes.addSample(this.#names.series(connectionId, row.tenantId), {
      tMs: Math.round(atMs),
      lagMaxMs: rounded(row.lagMs),
      ready: Math.round(row.ready),
      delayed: Math.round(row.delayed),
      running: Math.round(row.running),
      stale: Math.round(row.stale),
      arrivals: rounded(row.arrivals),
      attempts: rounded(row.attempts),
    });
  }

  #keepAttempt(connectionId: string, atMs: number, record: TimingRecord): void {
    const durationsMs = new Map([[RUN, record.totalMs]]);
    for (const [name, ms] of Object.entries(record.stages).slice(0, MAX_STAGES_PER_ATTEMPT)) {
      const stage = this.#names.stage(name);
      if (stage !== null) durationsMs.set(stage, ms);
    }
    const series = this.#names.series(connectionId, record.tenantId);
    this.#minutes.addAttempt(series, {
      atMs: Math.round(atMs),
      failed: record.status === 'error',
      durationsMs,
    });
  }

  #pausedSince({ nowMs, pause, endGaps }: HistoryFileOptions): void {
    transaction(this.#db, () => {
      const alive = this.#db.prepare(`SELECT value FROM meta WHERE key = 'alive'`).get()?.['value'];
      if (typeof alive === 'number' && alive < nowMs) {
        if (endGaps) this.#endGaps(alive, null);
        for (const connection of this.#names.connections) this.#beginGap(connection, alive, nowMs, pause);
      }
      this.#db
        .prepare(`INSERT OR REPLACE INTO meta (key, value) VALUES ('alive', ?)`)
        .run(Math.max(Math.round(nowMs), Number(alive ?? 0)));
    });
  }

  #beginGap(connection: string, fromMs: number, toMs: number | null, reason: string): void {
    this.#db
      .prepare('INSERT INTO gaps (connection, from_ms, to_ms, reason) VALUES (?, ?, ?, ?)')
      .run(connection, Math.round(fromMs), toMs === null ? null : Math.round(toMs), reason);
  }

  /** Ends the open gaps of one connection, or of all. */
  #endGaps(atMs: number, connection: string | null): void {
    this.#db
      .prepare(
        `UPDATE gaps SET to_ms = max(from_ms, ?1) WHERE to_ms IS NULL AND (?2 IS NULL OR connection = ?2)`,
      )
      .run(Math.round(atMs), connection);
  }
}

const rounded = (value: number | null): number | null => (value === null ? null : Math.round(value));
