// The rehearsal of an incident on the local engine, with its cure as switches.
import { z } from 'zod';

export const rehearsalSwitchesSchema = z.object({
  order: z.enum(['first-come', 'fair']),
  workers: z.int().min(1).max(32),
});
export type RehearsalSwitches = z.infer<typeof rehearsalSwitchesSchema>;

export const rehearsalSchema = rehearsalSwitchesSchema.extend({
  /** How many times faster than the incident it plays. */
  speed: z.number().positive(),
  noisyTenant: z.string(),
  watchedTenant: z.string(),
  /** When the next burst arrives by itself; local clock. */
  nextBurstAtMs: z.number(),
  burstSize: z.int(),
});
export type Rehearsal = z.infer<typeof rehearsalSchema>;
