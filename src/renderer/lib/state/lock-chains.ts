// Who blocks whom as a tree: those who hold and wait for nobody first, under each those that wait for it.
import type { DatabaseHealth, RunningStatement } from '../../../contract/database-health.ts';

export interface LockNode {
  session: RunningStatement;
  /** What it waits for; null for one that waits for nobody, or where the server does not tell. */
  on: string | null;
  /** Sessions that wait behind it, directly or not. */
  behind: number;
  waiting: readonly LockNode[];
}

/**
 * A forest of the waits. A session that waits for two stands under the first. Sessions that wait for each other (the
 * server ends such a deadlock soon) stand under the one that has waited longest.
 */
export function lockChains(waits: DatabaseHealth['lockWaits']): LockNode[] {
  const sessions = new Map<string, RunningStatement>();
  const onOf = new Map<string, string | null>();
  const parentOf = new Map<string, string>();
  for (const { waiting, blockedBy, on } of waits) {
    sessions.set(waiting.sessionId, waiting);
    onOf.set(waiting.sessionId, on);
    for (const blocker of blockedBy)
      if (!sessions.has(blocker.sessionId)) sessions.set(blocker.sessionId, blocker);
    const first = blockedBy.find(({ sessionId }) => sessionId !== waiting.sessionId);
    if (first !== undefined) parentOf.set(waiting.sessionId, first.sessionId);
  }
  for (const id of cutsOf(parentOf, sessions)) parentOf.delete(id);

  const childrenOf = new Map<string, string[]>();
  for (const [id, parent] of parentOf) childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), id]);
  const nodeOf = (session: RunningStatement): LockNode => {
    const waiting = (childrenOf.get(session.sessionId) ?? [])
      .flatMap((id) => sessions.get(id) ?? [])
      .sort((a, b) => b.forMs - a.forMs)
      .map(nodeOf);
    const behind = waiting.reduce((sum, child) => sum + 1 + child.behind, 0);
    return { session, on: onOf.get(session.sessionId) ?? null, behind, waiting };
  };
  return [...sessions.values()]
    .filter(({ sessionId }) => !parentOf.has(sessionId))
    .map(nodeOf)
    .sort((a, b) => b.behind - a.behind || b.session.forMs - a.session.forMs);
}

/** One session of each circle: the one that has waited longest becomes its root. */
function cutsOf(
  parentOf: ReadonlyMap<string, string>,
  sessions: ReadonlyMap<string, RunningStatement>,
): string[] {
  const cuts: string[] = [];
  const settled = new Set<string>();
  for (const start of parentOf.keys()) {
    const path: string[] = [];
    let id: string | undefined = start;
    while (id !== undefined && !settled.has(id) && !path.includes(id)) {
      path.push(id);
      id = parentOf.get(id);
    }
    if (id !== undefined && path.includes(id)) {
      const circle = path.slice(path.indexOf(id));
      const longest = circle.sort((a, b) => (sessions.get(b)?.forMs ?? 0) - (sessions.get(a)?.forMs ?? 0))[0];
      if (longest !== undefined) cuts.push(longest);
    }
    for (const one of path) settled.add(one);
  }
  return cuts;
}
