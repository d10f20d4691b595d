// The built-in connection: the local engine with its rehearsal, watched like any other system.
import { THIS_COMPUTER, type RuleOverrides } from '../contract/settings.ts';
import type { EngineHost } from './engine/engine-host.ts';
import { ConnectionMonitor } from './monitor/connection-monitor.ts';
import type { Input, MonitorParts } from './monitor/monitor-parts.ts';
import type { LogListener } from './logs/log-events.ts';
import { LocalEngineSource } from './sources/local-engine/local-engine-source.ts';

const LABEL = 'this computer';

/**
 * The incident's thresholds, divided by the rehearsal's speed of 10 (docs/adr/0006). Stage times are not judged:
 * a delivery of a second is what the rehearsal plays, not a fault.
 */
export const rehearsalRules: RuleOverrides = {
  lag: { warning: 18, critical: 30, forSeconds: 1, keepFiringForSeconds: 3 },
  canary: { warning: 18, critical: 30, forSeconds: 1, keepFiringForSeconds: 3 },
  stageP95: { enabled: false },
};

export function thisComputer(
  engine: EngineHost,
  parts: Omit<MonitorParts, 'source' | 'inputs'>,
): ConnectionMonitor {
  return new ConnectionMonitor(
    {
      id: THIS_COMPUTER,
      name: 'This computer',
      kind: 'local-engine',
      environment: 'development',
      safety: 'read-only',
      pollMs: 1_000,
      budgetMs: 200,
      timeoutMs: 5_000,
      windowMs: 10_000,
      timingWindowMs: 5 * 60_000,
      sparkBucketMs: 5_000,
      canaryTenants: [engine.rehearsal().watchedTenant],
    },
    {
      ...parts,
      source: new LocalEngineSource(engine),
      inputs: (listener) => [engineLog(engine, listener, parts.clock.now)],
    },
  );
}

/** The engine's own log; it comes from memory, so it is live whenever the engine is. */
function engineLog(engine: EngineHost, listener: LogListener, now: () => number): Input {
  let stop: (() => void) | null = null;
  return {
    start() {
      listener.state({ label: LABEL, state: 'live', sinceMs: now(), error: null });
      stop ??= engine.onLines((lines) => listener.lines(LABEL, lines));
    },
    stop() {
      stop?.();
      return Promise.resolve();
    },
  };
}
