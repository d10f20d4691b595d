// What is wrong by the figures of a database's health, and what to do about it.
import type { DatabaseHealth, RunningStatement } from '../../../contract/database-health.ts';
import { formatDuration } from '../../../core/duration.ts';
import { namedSession } from './named-session.ts';

export type Finding = DatabaseHealth['findings'][number];

/** The figures, and what a finding needs beside them. */
export interface HealthFigures extends Omit<
  DatabaseHealth,
  'findings' | 'notes' | 'costMs' | 'atMs' | 'server'
> {
  /** The transaction that has been open for longest, where the server tells. */
  oldestTransaction: RunningStatement | null;
  /** How a session is ended: "SELECT pg_terminate_backend(17)". */
  endSession: (sessionId: string) => string;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** From where on a figure is a finding. Ratios are of 1. */
export const THRESHOLDS = {
  /** Of the connections that ordinary accounts may have. */
  connections: { warning: 0.9, critical: 0.97 },
  /** A claim waits for milliseconds; workers stand still behind one that waits for seconds. */
  lockWaitMs: { warning: 5 * SECOND, critical: MINUTE },
  /** A statement on the queue's tables. */
  statementMs: { warning: 30 * SECOND, critical: 10 * MINUTE },
  /** What vacuum must keep since then piles up at the head of the queue. */
  horizonMs: { warning: 5 * MINUTE, critical: 60 * MINUTE },
  /** Of a horizon whose age in time is not known (a replication slot). The server itself stops at 2,000 million. */
  horizonTransactions: { warning: 1_000_000, critical: 500_000_000 },
  /** Autovacuum begins at 20 % as the server is shipped; few rows cost nothing either way. */
  deadRows: { atLeast: 10_000, warning: 0.2, critical: 0.5 },
  historyList: { warning: 100_000, critical: 1_000_000 },
  cacheHitRatio: 0.9,
  replicaLagMs: { warning: 30 * SECOND, critical: 5 * MINUTE },
} as const;

/** Worst first. */
export function healthFindings(figures: HealthFigures): Finding[] {
  const findings = [
    ...connectionFindings(figures),
    ...lockFindings(figures),
    ...horizonFindings(figures),
    ...deadRowFindings(figures),
    ...historyFindings(figures),
    ...statementFindings(figures),
    ...replicaFindings(figures),
    ...cacheFindings(figures),
  ];
  const rank = ({ severity }: Finding) => (severity === 'critical' ? 0 : 1);
  return findings.sort((a, b) => rank(a) - rank(b));
}

function judged(value: number, limit: { warning: number; critical: number }): Finding['severity'] | null {
  if (value >= limit.critical) return 'critical';
  return value >= limit.warning ? 'warning' : null;
}

const when = (severity: Finding['severity'] | null, text: () => string): Finding[] =>
  severity === null ? [] : [{ severity, text: text() }];

function connectionFindings({ connections }: HealthFigures): Finding[] {
  if (connections === null) return [];
  const open = Math.max(1, connections.max - (connections.reserved ?? 0));
  return when(
    judged(connections.used / open, THRESHOLDS.connections),
    () =>
      `${whole(connections.used)} of the ${whole(open)} connections that accounts may have are in use: soon workers are refused. End sessions that are idle, put a pool between, or raise max_connections.`,
  );
}

/** One for each session that waits for nobody and holds up others. */
function lockFindings({ lockWaits, endSession }: HealthFigures): Finding[] {
  const waiting = new Map(lockWaits.map((wait) => [wait.waiting.sessionId, wait]));
  const heldUp = new Map<string, { blocker: RunningStatement; waits: DatabaseHealth['lockWaits'] }>();
  for (const wait of lockWaits) {
    for (const blocker of rootsOf(wait, waiting)) {
      const known = heldUp.get(blocker.sessionId) ?? { blocker, waits: [] };
      known.waits.push(wait);
      heldUp.set(blocker.sessionId, known);
    }
  }
  const byNobody = lockWaits.filter(({ blockedBy }) => blockedBy.length === 0);
  const unknown = byNobody.flatMap(({ waiting, on }) =>
    when(
      judged(waiting.forMs, THRESHOLDS.lockWaitMs),
      () =>
        `${capital(namedSession(waiting))} has waited for ${on ?? 'a lock'} for ${formatDuration(waiting.forMs)}; who holds it cannot be told. Look for a transaction that was left open.`,
    ),
  );
  const known = [...heldUp.values()].flatMap(({ blocker, waits }) => {
    const longest = waits.reduce((a, b) => (b.waiting.forMs > a.waiting.forMs ? b : a));
    const on = longest.on === null ? '' : ` on ${longest.on}`;
    return when(
      judged(longest.waiting.forMs, THRESHOLDS.lockWaitMs),
      () =>
        `${waits.length === 1 ? '1 session waits' : `${waits.length} sessions wait`} for a lock${on}, the longest for ${formatDuration(longest.waiting.forMs)}, held by ${namedSession(blocker)}. Let it commit, or end it: ${endSession(blocker.sessionId)}.`,
    );
  });
  return [...known, ...unknown];
}

/** Whom a session waits for in the end; its own blockers where they wait in a circle. */
function rootsOf(
  wait: DatabaseHealth['lockWaits'][number],
  waiting: ReadonlyMap<string, DatabaseHealth['lockWaits'][number]>,
): RunningStatement[] {
  const seen = new Set<string>([wait.waiting.sessionId]);
  const roots = new Map<string, RunningStatement>();
  const ahead = [...wait.blockedBy];
  for (let blocker = ahead.pop(); blocker !== undefined; blocker = ahead.pop()) {
    if (seen.has(blocker.sessionId)) continue;
    seen.add(blocker.sessionId);
    const next = waiting.get(blocker.sessionId);
    if (next === undefined || next.blockedBy.length === 0) roots.set(blocker.sessionId, blocker);
    else ahead.push(...next.blockedBy);
  }
  return roots.size > 0 ? [...roots.values()] : wait.blockedBy.slice(0, 1);
}

function horizonFindings({ horizon }: HealthFigures): Finding[] {
  if (horizon === null) return [];
  const { heldForMs, transactions } = horizon;
  const byAge = judged(transactions, THRESHOLDS.horizonTransactions);
  const severity =
    heldForMs === null ? byAge : byAge === 'critical' ? byAge : judged(heldForMs, THRESHOLDS.horizonMs);
  const since = heldForMs === null ? '' : ` for ${formatDuration(heldForMs)}`;
  return when(
    severity,
    () =>
      `Vacuum has removed nothing that died in the last ${whole(transactions)} transactions, because of ${horizon.heldBy}${since}. Claims read past those rows. End what holds them back.`,
  );
}

function deadRowFindings({ deadRows }: HealthFigures): Finding[] {
  const { atLeast, ...limits } = THRESHOLDS.deadRows;
  return (deadRows ?? []).flatMap(({ table, live, dead, lastVacuumAtMs }) => {
    const share = dead / Math.max(1, live + dead);
    const never = lastVacuumAtMs === null ? ', and it was never vacuumed' : '';
    return when(
      dead < atLeast ? null : judged(share, limits),
      () =>
        `${whole(dead)} rows of ${table} are dead (${Math.round(share * 100)} %)${never}: each claim may read past them. Run VACUUM (ANALYZE) ${table}; if they stay, something holds them back. Let autovacuum come sooner: ALTER TABLE ${table} SET (autovacuum_vacuum_scale_factor = 0.01).`,
    );
  });
}

function historyFindings({ historyListLength, oldestTransaction }: HealthFigures): Finding[] {
  if (historyListLength === null) return [];
  const by =
    oldestTransaction === null
      ? 'Look for a transaction that was left open'
      : `The oldest transaction is ${namedSession(oldestTransaction)}, open for ${formatDuration(oldestTransaction.forMs)}: let it commit, or end it`;
  return when(
    judged(historyListLength, THRESHOLDS.historyList),
    () =>
      `InnoDB keeps ${whole(historyListLength)} old changes that purge has not removed; claims read past the rows they belong to. ${by}.`,
  );
}

function statementFindings({ slow }: HealthFigures): Finding[] {
  const [longest] = slow;
  if (longest === undefined) return [];
  return when(
    judged(longest.forMs, THRESHOLDS.statementMs),
    () =>
      `A statement on the queue's tables has run for ${formatDuration(longest.forMs)}, in ${namedSession(longest)}. Look at its plan, and at the indexes that the advisor names.`,
  );
}

function replicaFindings({ replicas }: HealthFigures): Finding[] {
  return (replicas ?? []).flatMap(({ name, state, lagMs }) => {
    if (/stopped/.test(state)) {
      return when(
        'warning',
        () => `Replica ${name} does not follow: ${state}. See its replica status for the error.`,
      );
    }
    return when(
      lagMs === null ? null : judged(lagMs, THRESHOLDS.replicaLagMs),
      () =>
        `Replica ${name} (${state}) is ${formatDuration(lagMs ?? 0)} behind: what is read there is as old. Look at its load, disk and network.`,
    );
  });
}

function cacheFindings({ cacheHitRatio }: HealthFigures): Finding[] {
  return when(
    cacheHitRatio !== null && cacheHitRatio < THRESHOLDS.cacheHitRatio ? 'warning' : null,
    () =>
      `${Math.round((1 - (cacheHitRatio ?? 0)) * 100)} % of reads came from disk since the counters began. The tables do not fit the database's memory, or large scans push them out.`,
  );
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const whole = (count: number): string => count.toLocaleString('en-US');
