// The library of incidents.
import type { Incident, Rehearsal } from '../../../contract/rehearsal.ts';
import { incident1 } from './incident-1.ts';
import { incident2 } from './incident-2.ts';
import { incident3 } from './incident-3.ts';
import { incident4 } from './incident-4.ts';
import type { IncidentPlay, Switches } from './incident-play.ts';

export const incidents: Readonly<Record<Incident, IncidentPlay>> = {
  1: incident1,
  2: incident2,
  3: incident3,
  4: incident4,
};
const library = Object.values(incidents).map(({ incident, title }) => ({ incident, title }));

/** What the window shows of a rehearsal. `nextAtMs`: epoch ms. */
export function describeRehearsal(
  play: IncidentPlay,
  switches: Switches,
  nextAtMs: number | null,
): Rehearsal {
  const { incident, story, speed, expectedMs, action, canaryTenants } = play;
  return {
    incident,
    library,
    story,
    speed,
    expectedMs,
    switches: play.switches.map(({ id, label, options }) => ({
      id,
      label,
      value: switches[id] ?? options[0].value,
      options: [...options],
    })),
    action,
    nextAtMs,
    canaryTenants: [...canaryTenants],
  };
}
