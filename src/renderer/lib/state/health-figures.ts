// The figures of a database's health that stand in one line: each with its unit, and whether it is worth a second look.
import type { DatabaseHealth } from '../../../contract/database-health.ts';
import { formatDuration, formatPercent } from '../../../core/duration.ts';
import { formatAge, formatWhole } from '../format/figures.ts';

export interface HealthFigure {
  name: string;
  value: string;
  /** What goes with the value, smaller. */
  detail: string;
  /** What the name means, or what stands behind the value. */
  title: string;
  /** Of the figure's own whole, 0 to 1; null for one without. */
  share: number | null;
}

/** Those that this server tells; the order is the same for every server. */
export function healthFigures(health: DatabaseHealth): HealthFigure[] {
  const figures: HealthFigure[] = [];
  const { connections, cacheHitRatio, horizon, historyListLength, replicas, lockWaits, slow } = health;
  if (connections !== null)
    figures.push({
      name: 'Connections',
      value: formatWhole(connections.used),
      detail: `of ${formatWhole(connections.max)}`,
      title: 'Open sessions of all programs, of as many as the server takes',
      share: connections.max === 0 ? null : Math.min(1, connections.used / connections.max),
    });
  figures.push({
    name: 'Lock waits',
    value: formatWhole(lockWaits.length),
    detail: lockWaits.length === 1 ? 'session waits' : 'sessions wait',
    title: 'Sessions that wait for another one',
    share: null,
  });
  figures.push({
    name: 'Slow statements',
    value: formatWhole(slow.length),
    detail: 'over a second',
    title: "On the queue's tables, for over a second",
    share: null,
  });
  if (cacheHitRatio !== null)
    figures.push({
      name: 'Cache hits',
      value: formatPercent(cacheHitRatio),
      detail: 'of reads',
      title: 'Reads served from memory since the counters began',
      share: null,
    });
  if (horizon !== null)
    figures.push({
      name: 'Oldest snapshot',
      value: formatWhole(horizon.transactions),
      detail: 'transactions',
      title: `Held by ${horizon.heldBy}${horizon.heldForMs === null ? '' : ` for ${formatAge(horizon.heldForMs)}`}: what is newer cannot be removed`,
      share: null,
    });
  if (historyListLength !== null)
    figures.push({
      name: 'History list',
      value: formatWhole(historyListLength),
      detail: 'changes kept',
      title: 'Changes that InnoDB must keep for old snapshots',
      share: null,
    });
  if (replicas !== null) figures.push(replicaFigure(replicas));
  return figures;
}

function replicaFigure(replicas: NonNullable<DatabaseHealth['replicas']>): HealthFigure {
  const lags = replicas.flatMap(({ lagMs }) => lagMs ?? []);
  return {
    name: 'Replicas',
    value: formatWhole(replicas.length),
    detail: lags.length === 0 ? '' : `${formatDuration(Math.max(...lags))} behind`,
    title: replicas.map(({ name, state }) => `${name}: ${state}`).join('\n'),
    share: null,
  };
}
