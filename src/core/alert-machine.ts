// The life of one alert: one rule watching one scope.
//
//              beyond a level            held for `for`
//   ┌────────┐ ───────────────▶ ┌─────────┐ ───────────▶ ┌────────┐ ◀───── beyond again ───── ┌────────────┐
//   │ normal │                  │ pending │              │ firing │                           │ recovering │
//   └────────┘ ◀── not beyond ─ └─────────┘              └────────┘ ────── not beyond ──────▶ └────────────┘
//       ▲                                                                                          │
//       └───────────────────────────── gone for `keep firing for` ─────────────────────────────────┘
//
//   any ── nothing measured ──▶ no-data          any ── cannot be evaluated ──▶ error
//
// An episode begins when an alert fires and ends when it is normal again. Within an episode people are told
// once that it fires, once that it got worse, and once that it is over: going back and forth to recovering,
// no-data or error begins no new episode. Missing data is never zero and never OK: no-data and error keep the
// episode open, and only a measured value ends it. A pending alert that loses its data begins anew, because
// nothing shows that the condition held meanwhile.
import type { Alert, AlertRule, AlertState, Severity } from './alert.ts';

/** What a rule's metric was found to be. Inhibited: a graver alert explains this one, so nobody is told. */
export type Observation =
  | { kind: 'value'; value: number; inhibited: boolean }
  | { kind: 'missing'; inhibited: boolean }
  | { kind: 'error'; message: string; inhibited: boolean };

/** From firing until normal. */
export interface Episode {
  readonly firedAtMs: number;
  readonly severity: Severity;
  /** The gravest that people were told of; null while nobody was. */
  readonly told: Severity | null;
  readonly acknowledged: Alert['acknowledged'];
}

/** Since when the value has been beyond any level, and beyond the critical one, without a break. */
interface Beyond {
  readonly anySinceMs: number;
  readonly criticalSinceMs: number | null;
}

/** The state of one alert with what it needs to go on. `sinceMs`: when the state began. Plain data. */
export type AlertProgress =
  | { readonly state: 'normal'; readonly sinceMs: number }
  | { readonly state: 'pending'; readonly sinceMs: number; readonly beyond: Beyond }
  | {
      readonly state: 'firing';
      readonly sinceMs: number;
      readonly episode: Episode;
      readonly beyond: Beyond;
      /** Since when a critical alert has been beyond the warning level only; null while it is not. */
      readonly milderSinceMs: number | null;
    }
  | { readonly state: 'recovering'; readonly sinceMs: number; readonly episode: Episode }
  | { readonly state: 'no-data'; readonly sinceMs: number; readonly episode: Episode | null }
  | {
      readonly state: 'error';
      readonly sinceMs: number;
      readonly episode: Episode | null;
      readonly message: string;
    };

/** What to tell people: it fires, it got worse, it is over. */
type Notice = 'firing' | 'escalated' | 'resolved';

export interface AlertStep {
  next: AlertProgress;
  /** A change for the timeline: of the state, of the severity, or a notice that was held back until now. */
  change: { from: AlertState; to: AlertState; severity: Severity | null } | null;
  notice: Notice | null;
}

/** The alert after an observation at `nowMs`. */
export function stepAlert(
  current: AlertProgress,
  observation: Observation,
  rule: AlertRule,
  nowMs: number,
): AlertStep {
  const moved = move(current, observation, rule, nowMs);
  const { next, notice } = tell(current, moved, observation.inhibited || !rule.enabled);
  const before = episodeOf(current);
  const after = episodeOf(next);
  const changed = next.state !== current.state || notice !== null || before?.severity !== after?.severity;
  const severity =
    after?.severity ?? before?.severity ?? (next.state === 'pending' ? severityOf(next.beyond) : null);
  return { next, change: changed ? { from: current.state, to: next.state, severity } : null, notice };
}

/** Somebody owns the alert: no more notices of this episode, but that it is over. Unchanged without an episode. */
export function acknowledgeAlert(current: AlertProgress, by: string, atMs: number): AlertProgress {
  const episode = episodeOf(current);
  return episode === null ? current : withEpisode(current, { ...episode, acknowledged: { by, atMs } });
}

/**
 * Goes on after a restart with an alert as it was kept. Nobody watched meanwhile: what was pending begins anew.
 * People are taken to know of what fired.
 */
export function restoreAlert(
  kept: Pick<Alert, 'state' | 'sinceMs' | 'severity' | 'firedAtMs' | 'acknowledged' | 'error'>,
): AlertProgress {
  const { state, sinceMs, firedAtMs, acknowledged } = kept;
  const severity = kept.severity ?? 'warning';
  const episode: Episode | null =
    firedAtMs === null ? null : { firedAtMs, severity, told: severity, acknowledged };
  switch (state) {
    case 'error':
      return { state, sinceMs, episode, message: kept.error ?? 'unknown error' };
    case 'recovering':
    case 'firing':
      if (episode === null) return { state: 'no-data', sinceMs, episode };
      if (state === 'recovering') return { state, sinceMs, episode };
      return {
        state,
        sinceMs,
        episode,
        beyond: { anySinceMs: sinceMs, criticalSinceMs: null },
        milderSinceMs: null,
      };
    case 'pending':
    case 'no-data':
      return { state: 'no-data', sinceMs, episode };
    case 'normal':
      return { state, sinceMs };
  }
}

/** The open episode of an alert; null when it has none. */
export function episodeOf(progress: AlertProgress): Episode | null {
  return 'episode' in progress ? progress.episode : null;
}

/** The gravest level that a value is beyond; null when it is beyond none. */
export function levelOf(
  value: number,
  rule: Pick<AlertRule, 'direction' | 'warning' | 'critical'>,
): Severity | null {
  const isBeyond = (level: number | null) =>
    level !== null && (rule.direction === 'above' ? value > level : value < level);
  if (isBeyond(rule.critical)) return 'critical';
  return isBeyond(rule.warning) ? 'warning' : null;
}

/** The next state, without regard to who is told. */
function move(
  current: AlertProgress,
  observation: Observation,
  rule: AlertRule,
  nowMs: number,
): AlertProgress {
  if (!rule.enabled) return current.state === 'normal' ? current : { state: 'normal', sinceMs: nowMs };
  const episode = episodeOf(current);
  const sinceMs = (state: AlertState) => (current.state === state ? current.sinceMs : nowMs);
  if (observation.kind === 'error') {
    return { state: 'error', sinceMs: sinceMs('error'), episode, message: observation.message };
  }
  if (observation.kind === 'missing' || Number.isNaN(observation.value)) {
    return { state: 'no-data', sinceMs: sinceMs('no-data'), episode };
  }

  const level = levelOf(observation.value, rule);
  if (level === null) {
    if (episode === null) return { state: 'normal', sinceMs: sinceMs('normal') };
    const goneSinceMs = sinceMs('recovering');
    // While inhibited nobody could be told that it is over: the episode stays open until somebody can.
    const isOver = nowMs - goneSinceMs >= rule.keepFiringForMs && !observation.inhibited;
    return isOver
      ? { state: 'normal', sinceMs: nowMs }
      : { state: 'recovering', sinceMs: goneSinceMs, episode };
  }
  const beyond = beyondNow(current, level, nowMs);
  const held = heldLevel(beyond, rule, nowMs);
  if (episode === null) {
    if (held === null) return { state: 'pending', sinceMs: sinceMs('pending'), beyond };
    const begun: Episode = { firedAtMs: nowMs, severity: held, told: null, acknowledged: null };
    return { state: 'firing', sinceMs: nowMs, episode: begun, beyond, milderSinceMs: null };
  }
  const milderSinceMs =
    level === 'critical' || episode.severity === 'warning'
      ? null
      : ((current.state === 'firing' ? current.milderSinceMs : null) ?? nowMs);
  const isMilder = milderSinceMs !== null && nowMs - milderSinceMs >= rule.keepFiringForMs;
  const severity = held === 'critical' ? 'critical' : isMilder ? 'warning' : episode.severity;
  return {
    state: 'firing',
    sinceMs: sinceMs('firing'),
    episode: { ...episode, severity },
    beyond,
    milderSinceMs: isMilder ? null : milderSinceMs,
  };
}

/** Decides the notice, and notes in the episode that it was given. */
function tell(
  before: AlertProgress,
  moved: AlertProgress,
  isQuiet: boolean,
): { next: AlertProgress; notice: Notice | null } {
  const ended = episodeOf(before);
  const episode = episodeOf(moved);
  if (isQuiet) return { next: moved, notice: null };
  if (moved.state === 'normal') return { next: moved, notice: ended?.told ? 'resolved' : null };
  // Only a value that is beyond now is worth waking somebody: a notice held back may be out of date.
  if (moved.state !== 'firing' || episode === null || episode.acknowledged !== null)
    return { next: moved, notice: null };
  const isWorse = episode.severity === 'critical' && episode.told === 'warning';
  if (episode.told !== null && !isWorse) return { next: moved, notice: null };
  const notice = episode.told === null ? 'firing' : 'escalated';
  return { next: withEpisode(moved, { ...episode, told: episode.severity }), notice };
}

function beyondNow(current: AlertProgress, level: Severity, nowMs: number): Beyond {
  const before = current.state === 'pending' || current.state === 'firing' ? current.beyond : null;
  return {
    anySinceMs: before?.anySinceMs ?? nowMs,
    criticalSinceMs: level === 'critical' ? (before?.criticalSinceMs ?? nowMs) : null,
  };
}

/** The gravest level that has been held for `for`. */
function heldLevel(beyond: Beyond, rule: AlertRule, nowMs: number): Severity | null {
  if (beyond.criticalSinceMs !== null && nowMs - beyond.criticalSinceMs >= rule.forMs) return 'critical';
  if (rule.warning === null) return null;
  return nowMs - beyond.anySinceMs >= rule.forMs ? 'warning' : null;
}

function severityOf(beyond: Beyond): Severity {
  return beyond.criticalSinceMs === null ? 'warning' : 'critical';
}

function withEpisode(progress: AlertProgress, episode: Episode): AlertProgress {
  return 'episode' in progress ? { ...progress, episode } : progress;
}
