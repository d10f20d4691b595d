// What becomes of the jobs that wait for others, when those die, are removed or come back. Whoever calls has the gate
// alone, so that no exchange finishes a parent meanwhile.
import { z } from 'zod';
import { cancelled } from './ended-by-store.ts';
import type { Ask } from './postgres-pool.ts';
import { childRow, idRow } from './postgres-records.ts';
import { numbers } from './postgres-exchange.ts';
import type { PostgresStatements } from './postgres-statements.ts';

export class PostgresDependants {
  readonly #ask: Ask;
  readonly #sql: PostgresStatements;
  readonly #atMs: number;

  constructor(ask: Ask, sql: PostgresStatements, atMs: number) {
    this.#ask = ask;
    this.#sql = sql;
    this.#atMs = atMs;
  }

  /** These are dead now: each child is cancelled, released or blocked, as it would have it, and so on down. */
  async ofDead(ids: readonly number[]): Promise<void> {
    let dead = [...ids];
    const touched: number[] = [];
    while (dead.length > 0) {
      const children = z.array(childRow).parse(await this.#ask(this.#sql.childrenOf, [numbers(dead)]));
      const wishing = (wish: 'cancel' | 'release') => children.filter((child) => child.wish === wish);
      const released = wishing('release').map(({ id }) => id);
      if (released.length > 0) {
        // Before they are free: what waits for a job that is ready is no longer found from below.
        touched.push(...(await this.#childrenOf(released)));
        await this.#ask(this.#sql.partFrom, [numbers(dead), numbers(released)]);
        await this.#ask(this.#sql.free, [numbers(released), this.#atMs]);
      }
      touched.push(...children.map(({ id }) => id));
      const gone = wishing('cancel');
      await this.#bury(gone.map(({ id, attempts, parent }) => ({ id, attempts, parentId: parent })));
      dead = gone.map(({ id }) => id);
    }
    await this.judge(touched);
  }

  /** Pending jobs to the dead set, without a try. */
  async cancel(jobs: readonly { id: number; attempts: number }[]): Promise<void> {
    await this.#bury(jobs.map(({ id, attempts }) => ({ id, attempts, parentId: null })));
    await this.ofDead(jobs.map(({ id }) => id));
  }

  /** Pending jobs no longer wait for anybody. */
  async release(ids: readonly number[]): Promise<void> {
    const children = await this.#childrenOf(ids);
    await this.#ask(this.#sql.partFromAll, [numbers(ids)]);
    await this.#ask(this.#sql.free, [numbers(ids), this.#atMs]);
    await this.judge(children);
  }

  /** Dead jobs are removed. Their children: as their parents' death would have it; blocked ones wait for ever. */
  async discard(ids: readonly number[]): Promise<void> {
    await this.#ask(this.#sql.partFromAll, [numbers(ids)]);
    await this.ofDead(ids);
    await this.#ask(this.#sql.loseParents, [numbers(ids)]);
    await this.#ask(this.#sql.removeDead, [numbers(ids)]);
  }

  /** Dead jobs are tried anew; what is blocked by them waits again. */
  async requeue(ids: readonly number[]): Promise<void> {
    const children = await this.#childrenOf(ids);
    await this.#ask(this.#sql.requeue, [numbers(ids), this.#atMs]);
    await this.judge([...ids, ...children]);
  }

  /** Tells anew which of these and of all below them are blocked. */
  async judge(ids: readonly number[]): Promise<void> {
    if (ids.length > 0) await this.#ask(this.#sql.judgeBlocked, [numbers(ids)]);
  }

  async #childrenOf(ids: readonly number[]): Promise<number[]> {
    const rows = await this.#ask(this.#sql.waitingChildren, [numbers(ids)]);
    return z
      .array(idRow)
      .parse(rows)
      .map(({ id }) => id);
  }

  async #bury(jobs: readonly { id: number; attempts: number; parentId: number | null }[]): Promise<void> {
    if (jobs.length === 0) return;
    const ends = jobs.map(({ attempts, parentId }) => cancelled({ attempts, parentId, nowMs: this.#atMs }));
    await this.#ask(this.#sql.cancel, [
      numbers(jobs.map(({ id }) => id)),
      ends.map((end) => JSON.stringify(end)),
      ends.map(({ failure }) => JSON.stringify(failure.cause)),
      this.#atMs,
      'permanent',
    ]);
  }
}
