// What can be read of a system and what can be done to it, stated before anybody tries. Every source declares all of it.
import { z } from 'zod';

/** What an engineer may want to do. The words are those of the mission: pause starts nothing more, drain works off the rest. */
export const actionSchema = z.enum([
  'pause',
  'resume',
  'drain',
  'unlock',
  'retry',
  'reschedule',
  'discard',
  'requeue',
  'release',
  'prioritise',
]);
export type Action = z.infer<typeof actionSchema>;

/**
 * `native`: the system has it and keeps it; `protocol`: done by the system's own statements or functions, as its clients do; `emulated`:
 * Headway changes rows in a way that the system does not know of; `none`: it cannot be done safely.
 */
export const supportSchema = z.enum(['native', 'protocol', 'emulated', 'none']);
export type Support = z.infer<typeof supportSchema>;

export const capabilitySchema = z.object({
  support: supportSchema,
  /** One sentence: by what means; for `none`, why not. */
  how: z.string().min(1),
  /** Whether it lasts when Headway and the workers end. */
  durable: z.boolean(),
  /** Whether it holds for jobs that arrive afterwards. */
  coversNewArrivals: z.boolean(),
  /** What may go wrong, one sentence each. */
  hazards: z.array(z.string()),
});
export type Capability = z.infer<typeof capabilitySchema>;

/** What a poll and a look can tell of a system. */
export const factSchema = z.enum([
  'lag',
  'depth',
  'running',
  'stale',
  'dead',
  'blocked',
  'arrivals',
  'finishes',
  'workers',
  'claim-order',
  'jobs',
  'locks',
]);
export type Fact = z.infer<typeof factSchema>;

/** `exact` where an index leads to it, `bounded` where it may be "at least" or an estimate, `no` where the system does not tell. */
export const knowledgeSchema = z.object({
  kind: z.enum(['exact', 'bounded', 'no']),
  /** What the word means here; may be empty where nothing needs saying. */
  note: z.string(),
});
export type Knowledge = z.infer<typeof knowledgeSchema>;

/** Everything, by name: a source that forgets one does not compile. */
export const capabilitiesSchema = z.object({
  facts: z.record(factSchema, knowledgeSchema),
  actions: z.record(actionSchema, capabilitySchema),
});
export type Capabilities = z.infer<typeof capabilitiesSchema>;

/** Shorthand for declarations. */
export const unsupported = (why: string): Capability => ({
  support: 'none',
  how: why,
  durable: false,
  coversNewArrivals: false,
  hazards: [],
});
