// The rehearsals: incidents played on the local engine with real parts, each with its cure as switches.
import { z } from 'zod';

export const incidentSchema = z.literal([1, 2, 3, 4]);
/** The incidents of the README, by number. */
export type Incident = z.infer<typeof incidentSchema>;

/** One switch: the value as the incident was, or the cure. */
export const rehearsalSwitchSchema = z.object({
  id: z.string(),
  label: z.string(),
  value: z.string(),
  options: z.array(z.object({ value: z.string(), label: z.string() })).min(2),
});

export const rehearsalSchema = z.object({
  incident: incidentSchema,
  /** What can be played. */
  library: z.array(z.object({ incident: incidentSchema, title: z.string() })),
  /** One sentence: what is played, and what to look at. */
  story: z.string(),
  /** How many times faster than the incident it plays. */
  speed: z.number().positive(),
  /** What the incident called late, in its own time; null where lateness is not the trouble. */
  expectedMs: z.number().positive().nullable(),
  switches: z.array(rehearsalSwitchSchema),
  /** Makes it happen now. */
  action: z.object({ label: z.string(), hint: z.string() }),
  /** When it happens by itself; local clock. */
  nextAtMs: z.number().nullable(),
  /** Tenants whose jobs are watched end to end. */
  canaryTenants: z.array(z.string()),
});
export type Rehearsal = z.infer<typeof rehearsalSchema>;

/** Another incident begins as it was; switches left out stay as they are. */
export const rehearsalChangeSchema = z.strictObject({
  incident: incidentSchema.optional(),
  switches: z.record(z.string(), z.string()).optional(),
});
export type RehearsalChange = z.infer<typeof rehearsalChangeSchema>;
