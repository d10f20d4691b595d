// All that is written: the connections' lines in one folder, which one Headway alone writes to.
//
//   locked out ──(the other ends)──▶ writing ◀──(a second later)──▶ paused (the disk refuses)
//
// A connection's folder is opened when it is first asked for. Everything here is synchronous, in a thread of its own.
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { HeadwayError } from '../../contract/headway-error.ts';
import { ConnectionLog, type LogLimits } from './connection-log.ts';
import { lockFolder } from './folder-lock.ts';
import type { Batch, Look, WriterData } from './store-messages.ts';

/** What the disk refused is not tried with every batch again. */
const TRY_AGAIN_MS = 1_000;
/** As settings have it: no id leads out of the folder. */
const ID = /^[a-z0-9][a-z0-9-]{0,62}$/;

export class LogWriter implements Disposable {
  readonly #folder: string;
  readonly #tell: (problem: string | null) => void;
  readonly #logs = new Map<string, ConnectionLog>();
  readonly #unstored = new Map<string, number>();
  #limits: LogLimits;
  #lock: DatabaseSync | null = null;
  #problem: string | null = null;
  #triedAtMs = -Infinity;

  /** `tell` is told when storing pauses, and why, and when it goes on. */
  constructor({ folder, budgetBytes, keepMs }: WriterData, tell: (problem: string | null) => void) {
    this.#folder = folder;
    this.#limits = { budgetBytes, keepMs };
    this.#tell = tell;
  }

  /** Never throws: what cannot be stored is counted. */
  append(batches: readonly Batch[], nowMs: number): void {
    // One disk for all: while it refuses, they wait together for the next try.
    const mayTry = this.#problem === null || nowMs - this.#triedAtMs >= TRY_AGAIN_MS;
    let refused: unknown = this.#problem === null ? null : 'waits';
    if (mayTry) refused = this.#lockedOut(nowMs) ? 'waits' : null;
    for (const batch of batches) {
      let stored = 0;
      if (refused === null) {
        try {
          ({ stored, refused } = this.#log(batch.connectionId).append(batch, nowMs));
        } catch (error) {
          refused = error;
        }
        if (refused !== null) this.#paused(refused, nowMs);
      }
      const lost = batch.lines.length - stored;
      if (lost > 0) this.#unstored.set(batch.connectionId, this.#unstoredOf(batch.connectionId) + lost);
    }
    if (refused === null) this.#say(null);
  }

  /** Throws `storage-failed`. */
  look(connectionId: string, nowMs: number): Look {
    const folder = this.#folderOf(connectionId);
    const unstored = this.#unstoredOf(connectionId);
    const nothing: Look = { folder, segments: [], sources: [], bytes: 0, unstored };
    if (this.#lockedOut(nowMs)) return nothing;
    try {
      if (!this.#logs.has(connectionId) && !existsSync(folder)) return nothing;
      const { segments, sources, bytes } = this.#log(connectionId);
      return { folder, segments, sources, bytes, unstored };
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Throws `storage-failed`. */
  remove(connectionId: string, nowMs: number): void {
    if (this.#lockedOut(nowMs)) return;
    try {
      if (this.#logs.has(connectionId) || existsSync(this.#folderOf(connectionId)))
        this.#log(connectionId).remove();
    } catch (error) {
      throw this.#failed(error);
    } finally {
      this.#logs.delete(connectionId);
      this.#unstored.delete(connectionId);
    }
  }

  /** From the next segment on. */
  limit(limits: LogLimits): void {
    this.#limits = limits;
    for (const log of this.#logs.values()) log.limit(limits);
  }

  /** Lets go of what is too old or too much, also of connections that nobody asks for. Throws `storage-failed`. */
  maintain(nowMs: number): void {
    if (this.#lockedOut(nowMs)) return;
    try {
      for (const entry of readdirSync(this.#folder, { withFileTypes: true }))
        if (entry.isDirectory() && ID.test(entry.name)) this.#log(entry.name).maintain(nowMs);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  [Symbol.dispose](): void {
    for (const log of this.#logs.values()) log.close();
    this.#logs.clear();
    this.#lock?.close();
    this.#lock = null;
  }

  #log(connectionId: string): ConnectionLog {
    let log = this.#logs.get(connectionId);
    if (log === undefined) {
      log = ConnectionLog.open(this.#folderOf(connectionId), this.#limits);
      this.#logs.set(connectionId, log);
    }
    return log;
  }

  #folderOf(connectionId: string): string {
    if (!ID.test(connectionId))
      throw new HeadwayError('bad-request', `"${connectionId}" is no connection's id.`);
    return join(this.#folder, connectionId);
  }

  #unstoredOf(connectionId: string): number {
    return this.#unstored.get(connectionId) ?? 0;
  }

  /** Takes the lock where it can be had, at most once a second. */
  #lockedOut(nowMs: number): boolean {
    if (this.#lock !== null) return false;
    if (nowMs - this.#triedAtMs < TRY_AGAIN_MS) return true;
    this.#triedAtMs = nowMs;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      this.#lock = lockFolder(this.#folder);
      this.#say(
        this.#lock === null
          ? `Another Headway stores its log lines in ${this.#folder}; this one stores none. Stop the other one, or give this one a folder of its own.`
          : null,
      );
    } catch (error) {
      this.#paused(error, nowMs);
    }
    return this.#lock === null;
  }

  #paused(error: unknown, nowMs: number): void {
    this.#triedAtMs = nowMs;
    this.#say(`Log lines are not stored in ${this.#folder}: ${saying(error)}. It goes on by itself.`);
  }

  #say(problem: string | null): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#tell(problem);
  }

  #failed(error: unknown): HeadwayError {
    if (error instanceof HeadwayError) return error;
    return new HeadwayError(
      'storage-failed',
      `Cannot use the log lines in ${this.#folder}: ${saying(error)}.`,
      {
        retryable: true,
        cause: error,
      },
    );
  }
}

function saying(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : null;
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'the disk is full; make space';
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return 'it may not be written to';
  return error.message;
}
