// What a timing analysis says, in sentences.
import { formatDuration, formatPercent } from '../../../core/duration.ts';
import { jainIndex } from '../../../core/fair-share.ts';
import type { TimingAnalysis, TimingSizes } from '../../../contract/log-search.ts';
import { formatRate, formatWhole } from './figures.ts';

export type Mover = TimingAnalysis['movers'][number];
/** A mover with the whole run's change beside it where both are of one moment. */
export interface ToldMover extends Mover {
  run: Mover | null;
}

const RUN = 'total';
/** Twice a turn is more than chance and rounding give. */
const MORE_THAN_A_TURN = 2;

/** The stage as a heading says it. */
export const stageLabel = (stage: string): string => (stage === RUN ? 'run' : stage);

/** A stage that changed takes the whole run with it: both are told in one sentence. */
export function toldMovers(movers: readonly Mover[], withinMs: number): ToldMover[] {
  const runOf = (mover: Mover): Mover | null =>
    movers.find(
      (other) =>
        other.stage === RUN &&
        other.tenantId === mover.tenantId &&
        Math.abs(other.atMs - mover.atMs) <= withinMs &&
        other.toMs > other.fromMs === mover.toMs > mover.fromMs,
    ) ?? null;
  const named = movers.filter(({ stage }) => stage !== RUN).map((mover) => ({ ...mover, run: runOf(mover) }));
  const told = new Set(named.map(({ run }) => run));
  const alone = movers.filter((mover) => mover.stage === RUN && !told.has(mover));
  const order = new Map(movers.map((mover, at) => [`${mover.tenantId}\n${mover.stage}`, at]));
  return [...named, ...alone.map((mover) => ({ ...mover, run: null }))].sort(
    (a, b) => (order.get(`${a.tenantId}\n${a.stage}`) ?? 0) - (order.get(`${b.tenantId}\n${b.stage}`) ?? 0),
  );
}

/** "deliver p95 of mailflow rose from 180 ms to 2.4 s". */
export function moverWords({ stage, fromMs, toMs }: Mover, tenant: string): string {
  const way = toMs > fromMs ? 'rose' : 'fell';
  return `${stageLabel(stage)} p95 of ${tenant} ${way} from ${formatDuration(fromMs)} to ${formatDuration(toMs)}`;
}

export interface Fairness {
  /** Jain's index over what the tenants finished; null when nothing was. */
  jain: number | null;
  words: string;
  /** The one that took more than its turn; null when none did. */
  greedy: string | null;
}

/**
 * Whether one tenant takes more than its turn. What they would have asked for is not in the timing, so the words
 * say what was taken, and the sentence names the share that equal turns would have given.
 */
export function fairness(
  tenants: TimingAnalysis['tenants'],
  all: number,
  nameOf: (tenantId: string) => string,
  word = 'tenant',
): Fairness {
  const [first] = tenants;
  if (first === undefined || all === 0) return { jain: null, words: '', greedy: null };
  const demand = first.finished;
  const jain = jainIndex(tenants.map(({ tenantId, finished }) => ({ tenantId, starts: finished, demand })));
  const share = first.finished / all;
  const turns = share * tenants.length;
  const name = nameOf(first.tenantId);
  if (tenants.length === 1) return { jain, words: `Only ${name} finished anything.`, greedy: null };
  const among = `${formatWhole(tenants.length)} ${tenants.length === 200 ? `busiest ${word}s` : `${word}s`}`;
  const took = `${name} took ${formatPercent(share)} of what was finished`;
  const equal = `an equal turn among ${among} is ${formatPercent(1 / tenants.length)}`;
  return turns >= MORE_THAN_A_TURN
    ? {
        jain,
        words: `${took}, ${formatRate(turns)} times an equal turn: ${equal}. It is more than its turn if others had work ready.`,
        greedy: first.tenantId,
      }
    : { jain, words: `No ${word} takes more than its turn: the busiest, ${took}; ${equal}.`, greedy: null };
}

/** "10 times larger takes 1.8 times longer; size explains 12 %". */
export function fitWords(fit: TimingSizes['fit']): string {
  if (fit === null) return 'Too few records with a size for a slope: 20 are needed.';
  const times = 10 ** fit.slope;
  const explains = `size explains ${formatPercent(Math.max(0, fit.r2))}`;
  if (times < 1.05 && times > 1 / 1.05)
    return `10 times larger takes as long; ${explains} of the differences.`;
  return times > 1
    ? `10 times larger takes ${formatRate(times)} times longer; ${explains} of the differences.`
    : `10 times larger takes ${formatRate(1 / times)} times less; ${explains} of the differences.`;
}

/** 640 B, 12 kB, 3.4 MB. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;
  let [value, at] = [bytes, 0];
  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  return `${at === 0 ? formatWhole(value) : formatRate(value)} ${units[at] ?? ''}`;
}

export interface Change {
  word: 'slower' | 'faster' | 'more' | 'fewer' | 'same';
  /** "+120 %", "×13"; empty when the same. */
  amount: string;
  worse: boolean | null;
}

/** From a second period to the first, in a word and a sign. A tenth is within what p95 does by itself. */
export function changeOf(
  now: number | null,
  before: number | null,
  of: 'time' | 'count' | 'errors',
): Change | null {
  if (now === null || before === null) return null;
  const [up, down] = of === 'time' ? (['slower', 'faster'] as const) : (['more', 'fewer'] as const);
  if (before === 0)
    return now === 0 ? null : { word: up, amount: 'from 0', worse: of === 'count' ? null : true };
  const ratio = now / before;
  if (Math.abs(ratio - 1) < 0.1) return { word: 'same', amount: '', worse: null };
  const amount =
    ratio >= 10
      ? `×${formatWhole(ratio)}`
      : `${ratio > 1 ? '+' : '−'}${formatWhole(Math.abs(ratio - 1) * 100)} %`;
  return { word: ratio > 1 ? up : down, amount, worse: of === 'count' ? null : ratio > 1 };
}
