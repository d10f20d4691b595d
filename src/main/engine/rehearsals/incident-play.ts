// The rehearsals: incidents played on the engine with real parts (sockets, processes, files, a real queue), each as it
// was and with its cure. One file an incident; rehearsal.ts plays whichever is chosen. This file: what they all are.
import type { JobKind } from '../../../contract/job-kinds.ts';
import type { Incident, Rehearsal } from '../../../contract/rehearsal.ts';
import type { RuleOverrides } from '../../../contract/settings.ts';
import type { TenantInfo } from '../../../core/sample.ts';
import type { Clock } from '../clock.ts';
import type { EngineKind, EngineTuning } from '../engine-parts.ts';
import type { NewJob } from '../job.ts';
import type { Store } from '../stores/store.ts';
import type { Handler } from '../workers/handler.ts';

/** A function like Math.random. */
export type Random = () => number;

/** The value of each switch, by its id. */
export type Switches = Readonly<Record<string, string>>;

export interface SwitchSpec {
  id: string;
  label: string;
  /** First as the incident was, then the cure. */
  options: readonly [asItWas: { value: string; label: string }, cure: { value: string; label: string }];
}

/** What an incident is played with. */
export interface Stage {
  clock: Clock;
  random: Random;
  /** Multiplies every duration: 1 in the window, less in tests on real sockets and processes. */
  pace: number;
  /** A folder of the rehearsal alone. */
  folder: string;
  store: Store;
  enqueue(jobs: NewJob[]): Promise<void>;
  /** Does what the settings of a kind say, by the same handlers that an engineer's kinds have. */
  handler(kind: JobKind): Handler;
  /** Something worth a line in the log. */
  note(text: string): void;
  problem(what: string, cause: unknown): void;
  /** `nextAtMs` of the performance is another. */
  changed(): void;
}

/** An incident under way. Disposing ends its streams, sockets and processes. */
export interface Performance extends AsyncDisposable {
  /** When it happens by itself; null when it does not. */
  readonly nextAtMs: number | null;
  kinds(switches: Switches): EngineKind[];
  /** Begins to send jobs: the engine works. */
  begin(): void;
  /** Told after the engine has its new kinds and tuning. */
  changed(switches: Switches): void;
  /** Makes it happen now. */
  act(): Promise<void>;
}

export interface IncidentPlay {
  incident: Incident;
  title: string;
  /** What is played, and what to look at. */
  story: string;
  /** How many times faster than the incident it plays. */
  speed: number;
  /** What the incident called late, in its own time; null where lateness is not the trouble. */
  expectedMs: number | null;
  tenantWord: string;
  tenants: readonly TenantInfo[];
  canaryTenants: readonly string[];
  switches: readonly SwitchSpec[];
  action: Rehearsal['action'];
  /** The incident's own thresholds at its speed. */
  rules: RuleOverrides;
  tuning(switches: Switches): EngineTuning;
  perform(stage: Stage, switches: Switches): Promise<Performance>;
}

export function asItWas(play: IncidentPlay): Switches {
  return Object.fromEntries(play.switches.map(({ id, options }) => [id, options[0].value]));
}

export function cured(play: IncidentPlay): Switches {
  return Object.fromEntries(play.switches.map(({ id, options }) => [id, options[1].value]));
}
