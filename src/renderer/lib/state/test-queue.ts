// Plain jobs, sessions and abilities of a queue for tests: each changes what it is about.
import type { Capabilities, Fact, Knowledge } from '../../../contract/capabilities.ts';
import { actionSchema, capabilitiesSchema, factSchema, unsupported } from '../../../contract/capabilities.ts';
import type { RunningStatement } from '../../../contract/database-health.ts';
import type { QueueJob } from '../../../contract/queue-jobs.ts';

export const queueJob = (id: string, changes: Partial<QueueJob> = {}): QueueJob => ({
  id,
  tenantId: '3',
  kind: 'sync',
  state: 'ready',
  stateWord: 'ready',
  createdAtMs: 0,
  readyAtMs: 0,
  startedAtMs: null,
  finishedAtMs: null,
  attempts: 0,
  maxAttempts: 3,
  priority: 0,
  owner: null,
  stale: false,
  error: null,
  ...changes,
});

export const session = (sessionId: string, forMs = 0): RunningStatement => ({
  sessionId,
  user: null,
  client: null,
  application: null,
  state: 'active',
  forMs,
  text: '',
});

/** A system that tells everything exactly but for what is given, and can do nothing. */
export const capabilities = (facts: Partial<Record<Fact, Knowledge['kind']>> = {}): Capabilities =>
  capabilitiesSchema.parse({
    facts: Object.fromEntries(
      factSchema.options.map((fact) => [fact, { kind: facts[fact] ?? 'exact', note: '' }] as const),
    ),
    actions: Object.fromEntries(
      actionSchema.options.map((action) => [action, unsupported('not here')] as const),
    ),
  });
