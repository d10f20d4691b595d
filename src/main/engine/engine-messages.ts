// What the main loop and the engine's thread say to each other. Plain data, parsed at both ends.
import { z } from 'zod';
import { rehearsalSchema, rehearsalSwitchesSchema } from '../../contract/rehearsal.ts';
import { wireErrorSchema } from '../../contract/errors.ts';
import { countSchema } from '../../core/count.ts';
import { timingRecordSchema } from '../../core/timing.ts';

/** What the thread is started with. */
export const engineThreadDataSchema = z.object({
  /** A folder of the rehearsal alone: it is emptied at each start. */
  folder: z.string(),
  switches: rehearsalSwitchesSchema,
});
export type EngineThreadData = z.infer<typeof engineThreadDataSchema>;

const request = z.int().nonnegative();

export const toEngineSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('set'), request, switches: rehearsalSwitchesSchema }),
  z.object({ t: z.literal('burst'), request }),
  z.object({ t: z.literal('sample'), request }),
  /** Finish what runs within the deadline, then end the thread. */
  z.object({ t: z.literal('stop'), deadlineMs: z.number().nonnegative() }),
]);
export type ToEngine = z.infer<typeof toEngineSchema>;

/** One moment of the engine. Times are epoch ms of this computer's clock. */
export const engineReadingSchema = z.object({
  atMs: z.number(),
  order: rehearsalSwitchesSchema.shape.order,
  workers: z.int().nonnegative(),
  busy: z.int().nonnegative(),
  /** The tenant that had the last turn of the fair order. */
  cursor: z.string().nullable(),
  /** The front (the ready jobs with the lowest ids of all) ends here; null when it holds every ready job. */
  frontEndId: z.int().nullable(),
  /** How long the read took, ms. */
  readMs: z.number().nonnegative(),
  tenants: z.array(
    z.object({
      tenantId: z.string(),
      ready: countSchema,
      delayed: countSchema,
      running: countSchema,
      dead: countSchema,
      oldestReady: z.object({ id: z.int(), readyAtMs: z.number(), createdAtMs: z.number() }).nullable(),
      oldestRunningAtMs: z.number().nullable(),
      lastStartedAtMs: z.number().nullable(),
      arrivalsTotal: z.int(),
      attemptsTotal: z.int(),
      /** Those of the front that are its own, ascending. */
      frontIds: z.array(z.int()),
    }),
  ),
});
export type EngineReading = z.infer<typeof engineReadingSchema>;

/** A line of the engine's log, in the shape of every parsed log line. */
export const engineLineSchema = z.object({
  readAtMs: z.number(),
  atMs: z.number(),
  kind: z.enum(['line', 'note']),
  level: z.enum(['info', 'warn', 'error']),
  text: z.string(),
  timing: timingRecordSchema.nullable(),
  malformedTiming: z.literal(false),
});
export type EngineLine = z.infer<typeof engineLineSchema>;

export const fromEngineSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('started') }),
  z.object({ t: z.literal('rehearsal'), rehearsal: rehearsalSchema }),
  z.object({ t: z.literal('lines'), lines: z.array(engineLineSchema) }),
  z.object({ t: z.literal('done'), request }),
  z.object({ t: z.literal('sample'), request, reading: engineReadingSchema }),
  /** A request failed; null: the engine could not start, the thread ends. */
  z.object({ t: z.literal('failed'), request: request.nullable(), error: wireErrorSchema }),
]);
export type FromEngine = z.infer<typeof fromEngineSchema>;
