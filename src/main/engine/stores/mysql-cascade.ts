// What the end of a job means for those that wait for it, and for those that wait for them.
//
// A parent is *bad* while it is dead, discarded or blocked. A child is blocked while one of its parents is bad; what
// its `onDeadParent` says matters only when one of them is dead or discarded.
import { cancelled } from './ended-by-store.ts';
import { LOCKED_COLUMNS, type JobLedger, type LockedJob } from './mysql-ledger.ts';
import { fieldsOf, type MysqlSession } from './mysql-session.ts';

export interface Change {
  parentId: number;
  /** `died` and `discarded` tell whether the parent was bad before. */
  now: 'done' | 'bad' | 'good' | 'died' | 'discarded';
  wasBad: boolean;
}

/** Children locked at a time. */
const AT_ONCE = 1_000;

/**
 * Carries changes of locked parents down to all that wait for them. Generation by generation, in the order that they
 * came: a job may hear several of its parents.
 */
export async function cascade(
  session: MysqlSession,
  ledger: JobLedger,
  changes: readonly Change[],
): Promise<void> {
  for (let present = [...changes]; present.length > 0;) {
    const next: Change[] = [];
    const children = await childrenOf(session, ledger, [...new Set(present.map(({ parentId }) => parentId))]);
    for (const change of present)
      for (const child of children.get(change.parentId) ?? []) next.push(...apply(change, child, ledger));
    present = next;
  }
}

async function childrenOf(
  session: MysqlSession,
  ledger: JobLedger,
  parentIds: readonly number[],
): Promise<Map<number, LockedJob[]>> {
  const children = new Map<number, LockedJob[]>();
  for (let from = 0; from < parentIds.length; from += AT_ONCE) {
    // By child, so that two families with common children are locked in one order.
    const rows = await session.rows({
      sql: `SELECT dependency.parent_id, ${LOCKED_COLUMNS}
        FROM headway_dependency AS dependency JOIN headway_job AS job ON job.id = dependency.job_id
        WHERE dependency.parent_id IN (?) ORDER BY job.id FOR UPDATE`,
      values: [parentIds.slice(from, from + AT_ONCE)],
    });
    const jobs = ledger.lock(rows);
    for (const [i, row] of rows.entries()) {
      const parentId = fieldsOf(row).number('parent_id');
      const job = jobs[i];
      if (job !== undefined) children.set(parentId, [...(children.get(parentId) ?? []), job]);
    }
  }
  return children;
}

function apply({ parentId, now, wasBad }: Change, child: LockedJob, ledger: JobLedger): Change[] {
  if (child.state === 'gone' || ledger.isUnbound(child, parentId)) return [];
  if (child.state === 'dead') {
    // It waits on in the dead set, for the day that it is requeued.
    if (now === 'done' || now === 'discarded') ledger.unbind(child, parentId);
    return [];
  }
  if (child.state !== 'waiting' && child.state !== 'blocked') return [];
  switch (now) {
    case 'done':
      ledger.unbind(child, parentId);
      return judge(child, ledger);
    case 'bad':
      child.stuckOn += 1;
      return judge(child, ledger);
    case 'good':
      child.stuckOn -= 1;
      return judge(child, ledger);
    case 'died':
    case 'discarded':
      switch (child.onDeadParent) {
        case 'block':
          if (!wasBad) child.stuckOn += 1;
          return judge(child, ledger);
        case 'release':
          if (wasBad) child.stuckOn -= 1;
          ledger.unbind(child, parentId);
          return judge(child, ledger);
        case 'cancel': {
          const childWasBad = child.state === 'blocked';
          ledger.bury(child, cancelled({ attempts: child.attempts, parentId, nowMs: ledger.nowMs }));
          if (now === 'discarded') ledger.unbind(child, parentId);
          return [{ parentId: child.id, now: 'died', wasBad: childWasBad }];
        }
      }
  }
}

/** The state of one that waits, from what it waits for. */
function judge(job: LockedJob, ledger: JobLedger): Change[] {
  const wasBad = job.state === 'blocked';
  ledger.touch(job);
  if (job.waitsFor === 0) ledger.free(job);
  else if (job.stuckOn > 0 !== wasBad) ledger.move(job, wasBad ? 'waiting' : 'blocked');
  const isBad = job.waitsFor > 0 && job.stuckOn > 0;
  return isBad === wasBad ? [] : [{ parentId: job.id, now: isBad ? 'bad' : 'good', wasBad }];
}
