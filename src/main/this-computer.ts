// The built-in connection to the rehearsal: an engine that plays an incident, watched like any other system.
import type { Incident } from '../contract/rehearsal.ts';
import { THIS_COMPUTER, type RuleOverrides } from '../contract/settings.ts';
import type { EngineHost } from './engine/engine-host.ts';
import { incidents } from './engine/rehearsals/index.ts';
import { localConnection, type LocalMonitorParts } from './local-jobs.ts';
import type { ConnectionMonitor } from './monitor/connection-monitor.ts';

/** The incident's thresholds at the rehearsal's speed (docs/adr/0006). */
export function rehearsalRules(incident: Incident): RuleOverrides {
  return incidents[incident].rules;
}

/** Made for the incident that is played now: another incident is another system. */
export function thisComputer(engine: EngineHost, parts: LocalMonitorParts): ConnectionMonitor {
  const { incident, canaryTenants } = engine.rehearsal();
  return localConnection('rehearsal', engine, parts, {
    id: THIS_COMPUTER,
    name: 'This computer',
    environment: 'development',
    system: `Local engine on SQLite: rehearsal of incident ${incident}`,
    label: 'this computer',
    windowMs: 10_000,
    timingWindowMs: 5 * 60_000,
    sparkBucketMs: 5_000,
    canaryTenants,
  });
}
