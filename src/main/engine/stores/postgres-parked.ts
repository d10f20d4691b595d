// Dead and blocked jobs, as a person looks at them and repairs them.
import { z } from 'zod';
import type { JobRecord } from '../job.ts';
import type { PostgresDependants } from './postgres-dependants.ts';
import { isText, numbers } from './postgres-exchange.ts';
import type { Ask } from './postgres-pool.ts';
import { culpritRow, deadGroupRow, idRow, jobRow } from './postgres-records.ts';
import type { PostgresStatements } from './postgres-statements.ts';
import type { BlockedJob, DeadGroup, JobFilter } from './store.ts';

type ParkedState = 'dead' | 'blocked';
/** What becomes of the jobs that were chosen. */
export type Repair = 'requeue' | 'discard' | 'release' | 'cancel';

export class PostgresParked {
  readonly #ask: Ask;
  readonly #sql: PostgresStatements;

  constructor(ask: Ask, sql: PostgresStatements) {
    this.#ask = ask;
    this.#sql = sql;
  }

  async records(ids: readonly number[]): Promise<JobRecord[]> {
    return ids.length === 0 ? [] : z.array(jobRow).parse(await this.#ask(this.#sql.jobs, [numbers(ids)]));
  }

  async deadGroups(limit: number): Promise<DeadGroup[]> {
    return z.array(deadGroupRow).parse(await this.#ask(this.#sql.deadGroups, [limit]));
  }

  async dead(filter: JobFilter, afterId: number, limit: number): Promise<JobRecord[]> {
    return this.records(await this.#ids('dead', filter, afterId, limit));
  }

  async blocked(filter: JobFilter, afterId: number, limit: number): Promise<BlockedJob[]> {
    const ids = await this.#ids('blocked', filter, afterId, limit);
    const jobs = await this.records(ids);
    const culprits = z.array(culpritRow).parse(await this.#ask(this.#sql.culprits, [numbers(ids)]));
    const culpritOf = new Map(culprits.map((row) => [row.job_id, row.ancestor_id]));
    return jobs.flatMap((job) => {
      const ancestorId = culpritOf.get(job.id);
      return ancestorId === undefined ? [] : [{ job, ancestorId }];
    });
  }

  /** Repairs up to `limit` jobs, lowest ids first; answers how many. The caller has the gate alone. */
  async repair(
    how: Repair,
    filter: JobFilter,
    limit: number,
    dependants: PostgresDependants,
  ): Promise<number> {
    const state = how === 'requeue' || how === 'discard' ? 'dead' : 'blocked';
    const ids = await this.#ids(state, filter, 0, limit);
    if (ids.length === 0) return 0;
    if (how === 'cancel') {
      const jobs = await this.records(ids);
      await dependants.cancel(jobs.map(({ id, attempts }) => ({ id, attempts })));
    } else await dependants[how](ids);
    return ids.length;
  }

  async #ids(state: ParkedState, filter: JobFilter, afterId: number, limit: number): Promise<number[]> {
    const { tenantId = null, kind = null, cause, ids } = filter;
    // No stored job has such a name.
    if (![tenantId ?? '', kind ?? ''].every(isText)) return [];
    const rows = await this.#ask(this.#sql.parkedIds, [
      ...[state, afterId, limit, tenantId, kind],
      cause === undefined ? null : JSON.stringify(cause),
      ids ? numbers(ids.filter((id) => Number.isSafeInteger(id))) : null,
    ]);
    return z
      .array(idRow)
      .parse(rows)
      .map(({ id }) => id);
  }
}
