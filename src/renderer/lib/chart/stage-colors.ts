// One colour a stage, the same in every view: known stages by their place in a run, others by their name.
const known = ['load', 'inspect', 'dkim', 'deliver', 'other'];

/** The name of a colour in theme.css. */
export function stageColor(stage: string): string {
  const at = known.indexOf(stage);
  if (stage === 'other' || stage === 'total' || stage === WAIT) return '--series-6';
  if (at >= 0) return `--series-${at + 1}`;
  let hash = 0;
  for (const character of stage) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return `--series-${(hash % 5) + 1}`;
}

/** The time before the run, which some workers log beside its stages: no part of the run's total. */
export const WAIT = 'wait';

/** The stages of a run in their order, and what is left over as "other". */
export function stageParts(
  stages: Readonly<Record<string, number>>,
  totalMs: number,
): { stage: string; ms: number }[] {
  const parts = Object.entries(stages)
    .filter(([stage]) => stage !== WAIT)
    .map(([stage, ms]) => ({ stage, ms }));
  const otherMs = totalMs - parts.reduce((sum, { ms }) => sum + ms, 0);
  // Under a hundredth it is rounding.
  if (otherMs > totalMs / 100 && !('other' in stages)) parts.push({ stage: 'other', ms: otherMs });
  return parts;
}

/** The stages as one background: an element a stage would be four times the page. */
export function stageGradient(stages: Readonly<Record<string, number>>, totalMs: number): string {
  if (totalMs <= 0) return 'none';
  let atMs = 0;
  const stops = stageParts(stages, totalMs).map(({ stage, ms }) => {
    const from = share(atMs, totalMs);
    atMs += ms;
    return `var(${stageColor(stage)}) ${from}% ${share(atMs, totalMs)}%`;
  });
  return stops.length === 0 ? 'var(--series-6)' : `linear-gradient(90deg, ${stops.join(', ')})`;
}

const share = (ms: number, totalMs: number): string => Math.min(100, (ms / totalMs) * 100).toFixed(1);
