// Ticks of a time axis at round local times.
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const steps = [
  5 * SECOND,
  10 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
];

/** At most about `most` ticks between two times, at multiples of a round step in local time. */
export function timeTicks(fromMs: number, toMs: number, most = 8): { atMs: number; label: string }[] {
  const spanMs = toMs - fromMs;
  const stepMs = steps.find((step) => spanMs / step <= most) ?? 30 * DAY;
  const offsetMs = new Date(fromMs).getTimezoneOffset() * MINUTE;
  const ticks: { atMs: number; label: string }[] = [];
  for (let atMs = Math.ceil((fromMs - offsetMs) / stepMs) * stepMs + offsetMs; atMs <= toMs; atMs += stepMs)
    ticks.push({ atMs, label: label(atMs, stepMs) });
  return ticks;
}

function label(atMs: number, stepMs: number): string {
  const at = new Date(atMs);
  if (stepMs >= DAY) return at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  const time = at.toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    ...(stepMs < MINUTE ? { second: '2-digit' } : {}),
  });
  const midnight = at.getHours() === 0 && at.getMinutes() === 0 && stepMs >= HOUR;
  return midnight ? at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) : time;
}
