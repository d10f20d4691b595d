// What the main loop and the engines' thread say to each other. Plain data, parsed at both ends.
import { z } from 'zod';
import {
  bulkSchema,
  deadGroupSchema,
  engineViewSchema,
  holdSchema,
  jobFilterSchema,
  jobRecordSchema,
  recentAttemptSchema,
} from '../../contract/engine-report.ts';
import { wireErrorSchema } from '../../contract/errors.ts';
import { claimOrderSchema, engineSettingsSchema } from '../../contract/job-kinds.ts';
import { incidentSchema, rehearsalChangeSchema, rehearsalSchema } from '../../contract/rehearsal.ts';
import { secretRefSchema } from '../../contract/secret-ref.ts';
import { countSchema } from '../../core/count.ts';
import { timingRecordSchema } from '../../core/timing.ts';

/** The engines of the thread: the incidents that are played, and the jobs of this computer. */
export const engineNameSchema = z.enum(['rehearsal', 'local']);
export type EngineName = z.infer<typeof engineNameSchema>;

/** What the local engine works on. */
export const localSettingsSchema = z.object({
  engine: engineSettingsSchema,
  /** What relative files and working directories of kinds are relative to. */
  baseDirectory: z.string(),
});
export type LocalSettings = z.infer<typeof localSettingsSchema>;

/** What the thread is started with. */
export const engineThreadDataSchema = z.object({
  /** A folder of the rehearsal alone: it is emptied at each start. */
  rehearsalFolder: z.string(),
  incident: incidentSchema,
  switches: z.record(z.string(), z.string()),
  /** Where the local engine keeps its jobs. */
  localFile: z.string(),
  local: localSettingsSchema,
});
export type EngineThreadData = z.infer<typeof engineThreadDataSchema>;

const newJobSchema = z.object({
  tenantId: z.string(),
  kind: z.string(),
  payload: z.unknown(),
  priority: z.number().exactOptional(),
  readyAtMs: z.number().exactOptional(),
  maxAttempts: z.number().exactOptional(),
  idempotencyKey: z.string().exactOptional(),
  batchId: z.string().exactOptional(),
  dependsOn: z.array(z.union([z.object({ row: z.int() }), z.object({ id: z.int() })])).exactOptional(),
  onDeadParent: z.enum(['block', 'cancel', 'release']).exactOptional(),
});
const scopeSchema = holdSchema.pick({ tenantId: true, kind: true });
const pageShape = { filter: jobFilterSchema, afterId: z.int(), limit: z.int() };
const jobId = z.int();
const listPlaceSchema = z.object({ atMs: z.number(), id: jobId });
const listRequestSchema = z.object({
  state: jobRecordSchema.shape.state,
  tenantId: z.string().nullable(),
  after: listPlaceSchema.nullable(),
  limit: z.int(),
});

/** A call of EngineAdmin, by its name. */
export const adminCallSchema = z.discriminatedUnion('call', [
  z.object({ call: z.literal('view') }),
  z.object({ call: z.literal('deadGroups'), limit: z.int() }),
  z.object({ call: z.literal('deadJobs'), ...pageShape }),
  z.object({ call: z.literal('blockedJobs'), ...pageShape }),
  z.object({ call: z.literal('list'), request: listRequestSchema }),
  z.object({ call: z.literal('job'), id: jobId }),
  z.object({ call: z.literal('hold'), hold: holdSchema.omit({ sinceMs: true }) }),
  z.object({ call: z.literal('unhold'), scope: scopeSchema }),
  z.object({ call: z.literal('bulk'), what: bulkSchema.shape.what, filter: jobFilterSchema }),
  z.object({ call: z.literal('stopBulk'), jobId }),
  z.object({ call: z.literal('enqueue'), jobs: z.array(newJobSchema) }),
]);
export type AdminCall = z.infer<typeof adminCallSchema>;

/** What each call of EngineAdmin answers. */
export const adminAnswers = {
  view: engineViewSchema,
  deadGroups: z.array(deadGroupSchema),
  deadJobs: z.array(jobRecordSchema),
  blockedJobs: z.array(z.object({ job: jobRecordSchema, ancestorId: z.int() })),
  list: z.object({ jobs: z.array(jobRecordSchema), next: listPlaceSchema.nullable() }),
  job: z.object({
    job: jobRecordSchema.nullable(),
    payload: z.object({ text: z.string(), shortened: z.boolean() }).nullable(),
    recent: z.array(recentAttemptSchema),
  }),
  hold: z.null(),
  unhold: z.boolean(),
  bulk: jobId,
  stopBulk: z.null(),
  enqueue: z.array(z.object({ id: jobId, fresh: z.boolean() })),
} as const satisfies Record<AdminCall['call'], z.ZodType>;
export type AdminAnswer<C extends AdminCall['call']> = z.infer<(typeof adminAnswers)[C]>;

const request = z.int().nonnegative();
const engine = engineNameSchema;

export const toEngineSchema = z.discriminatedUnion('t', [
  z.object({ t: z.literal('sample'), request, engine }),
  z.object({ t: z.literal('admin'), request, engine, call: adminCallSchema }),
  z.object({ t: z.literal('rehearse'), request, change: rehearsalChangeSchema }),
  z.object({ t: z.literal('act'), request }),
  /** Other settings of the local engine are in force. */
  z.object({ t: z.literal('settings'), request, local: localSettingsSchema }),
  /** The answer to a secret that the thread asked for. */
  z.object({ t: z.literal('secret'), question: request, value: z.string() }),
  z.object({ t: z.literal('no-secret'), question: request, error: wireErrorSchema }),
  /** The local engine finishes what runs within the deadline; then the thread ends. */
  z.object({ t: z.literal('stop'), deadlineMs: z.number().nonnegative() }),
]);
export type ToEngine = z.infer<typeof toEngineSchema>;

const total = z.int().nonnegative();

/** One moment of an engine. Times are epoch ms of this computer's clock. */
export const engineReadingSchema = z.object({
  atMs: z.number(),
  order: claimOrderSchema,
  workers: total,
  busy: total,
  /** The tenant that had the last turn of the fair order. */
  cursor: z.string().nullable(),
  /** The front (the ready jobs with the lowest ids of all) ends here; null when it holds every ready job. */
  frontEndId: z.int().nullable(),
  /** How long the read took, ms. */
  readMs: z.number().nonnegative(),
  /** What is stopped by hand. */
  holds: z.array(holdSchema),
  /** Share of failed attempts of the last hour, by kind; null under 10. */
  kinds: z.array(z.object({ kind: z.string(), failureRatio: z.number().nullable() })),
  /** Of the workers that have a thread or process of their own. */
  memory: z.array(z.object({ worker: total, usedBytes: total, limitBytes: total.nullable() })),
  /** How tenants are called, and their names. */
  tenantWord: z.string(),
  names: z.array(z.object({ id: z.string(), name: z.string(), detail: z.string() })),
  tenants: z.array(
    z.object({
      tenantId: z.string(),
      ready: countSchema,
      delayed: countSchema,
      running: countSchema,
      waiting: countSchema,
      blocked: countSchema,
      dead: countSchema,
      /** The one that has waited longest. */
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

/** A line of an engine's log, in the shape of every parsed log line. */
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
  /** Why the local engine does not work, or not on all it was given; null when all is well. */
  z.object({ t: z.literal('local'), problem: wireErrorSchema.nullable() }),
  z.object({ t: z.literal('lines'), engine, lines: z.array(engineLineSchema) }),
  z.object({ t: z.literal('done'), request }),
  z.object({ t: z.literal('sample'), request, reading: engineReadingSchema }),
  /** To be read by the schema of its call. */
  z.object({ t: z.literal('answer'), request, answer: z.unknown() }),
  z.object({ t: z.literal('secret?'), question: request, ref: secretRefSchema, what: z.string() }),
  /** A request failed; null: the engines could not start, the thread ends. */
  z.object({ t: z.literal('failed'), request: request.nullable(), error: wireErrorSchema }),
]);
export type FromEngine = z.infer<typeof fromEngineSchema>;
