// A SQLite store that is only watched: the window's way into a headless engine's file while that engine works on it.
import type { DatabaseSync } from 'node:sqlite';
import { HeadwayError } from '../../../contract/errors.ts';
import type { Claim, Depths, Enqueued, JobRecord } from '../job.ts';
import { openToRead, storageError } from './sqlite-file.ts';
import { refuseOtherVersions } from './sqlite-schema.ts';
import { prepareReading } from './sqlite-statements.ts';
import { SqliteViews } from './sqlite-views.ts';
import type {
  BlockedJob,
  DeadGroup,
  Eligible,
  Hold,
  JobFilter,
  JobsListed,
  ListRequest,
  Owner,
  ReadyTenant,
  Store,
} from './store.ts';

export class SqliteReadOnlyStore implements Store {
  readonly description: string;
  /** Somebody else may be working on it. */
  readonly exclusive = false;
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #views: SqliteViews;

  /** Throws `file-missing` where the file cannot be read, `schema-mismatch` where it is not a store of this version. */
  static open(file: string): SqliteReadOnlyStore {
    const db = openToRead(file);
    try {
      refuseOtherVersions(db, file);
      return new SqliteReadOnlyStore(db, file);
    } catch (error) {
      db.close();
      throw storageError(error, file);
    }
  }

  private constructor(db: DatabaseSync, file: string) {
    this.description = `SQLite, ${file} (read only)`;
    this.#file = file;
    this.#db = db;
    this.#views = new SqliteViews(prepareReading(db));
  }

  time(): Promise<number> {
    return Promise.resolve(Date.now());
  }

  ready(request: { after: string | null; limit: number; eligible: Eligible }): Promise<ReadyTenant[]> {
    return this.#look(() => {
      const stopped = this.#views.holds().filter((hold) => hold.mode === 'pause' && hold.tenantId === null);
      const kinds = this.#views.kinds().flatMap(({ id, name }) => {
        const isHeld = stopped.some((hold) => hold.kind === null || hold.kind === name);
        return isHeld || !request.eligible.some(({ kind, limit }) => kind === name && limit !== 0)
          ? []
          : [id];
      });
      return this.#views.ready(kinds, request.after, request.limit);
    });
  }

  cursor(): Promise<string | null> {
    return this.#look(() => this.#views.cursor());
  }

  owners(): Promise<Owner[]> {
    return this.#look(() => this.#views.owners());
  }

  depths(frontLimit: number): Promise<Depths> {
    return this.#look(() => this.#views.depths(frontLimit));
  }

  holds(): Promise<Hold[]> {
    return this.#look(() => this.#views.holds());
  }

  job(id: number): Promise<JobRecord | null> {
    return this.#look(() => this.#views.job(id));
  }

  payload(id: number, limitChars: number): Promise<string | null> {
    return this.#look(() => this.#views.payload(id, limitChars));
  }

  list(request: ListRequest): Promise<JobsListed> {
    return this.#look(() => this.#views.list(request));
  }

  deadGroups(limit: number): Promise<DeadGroup[]> {
    return this.#look(() => this.#views.deadGroups(limit));
  }

  deadJobs(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return this.#look(() => this.#views.deadJobs(filter, afterId, limit));
  }

  blockedJobs(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    return this.#look(() => this.#views.blockedJobs(filter, afterId, limit));
  }

  enqueue(): Promise<Enqueued[]> {
    return this.#refuse();
  }

  exchange(): Promise<{ taken: boolean[]; claims: Claim[] }> {
    return this.#refuse();
  }

  promoteDue(): Promise<number | null> {
    return this.#refuse();
  }

  beat(): Promise<void> {
    return this.#refuse();
  }

  leave(): Promise<void> {
    return this.#refuse();
  }

  reclaim(): Promise<number> {
    return this.#refuse();
  }

  hold(): Promise<void> {
    return this.#refuse();
  }

  unhold(): Promise<boolean> {
    return this.#refuse();
  }

  requeue(): Promise<number> {
    return this.#refuse();
  }

  discard(): Promise<number> {
    return this.#refuse();
  }

  unblock(): Promise<number> {
    return this.#refuse();
  }

  #refuse(): Promise<never> {
    return Promise.reject(
      new HeadwayError(
        'unauthorized',
        `${this.#file} is opened for reading only; ask the engine that works on it, or stop that one and open the file here.`,
      ),
    );
  }

  /** All statements of a call see the file as it was at one moment. */
  #look<T>(read: () => T): Promise<T> {
    return new Promise((resolve) => {
      try {
        this.#db.exec('BEGIN');
        resolve(read());
      } catch (error) {
        throw storageError(error, this.#file);
      } finally {
        if (this.#db.isTransaction) this.#db.exec('COMMIT');
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
    return Promise.resolve();
  }
}
