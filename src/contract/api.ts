// The one API between backend and windows: every method and every stream, by name.
import { z } from 'zod';
import {
  alertEventSchema,
  alertRuleSchema,
  alertSchema,
  metricSchema,
  severitySchema,
} from '../core/alert.ts';
import { stageStatsSchema } from '../core/timing.ts';
import { capabilitiesSchema } from './capabilities.ts';
import { connectionTestSchema } from './connection-test.ts';
import { databaseHealthSchema, indexAdviceSchema } from './database-health.ts';
import {
  databaseDraftSchema,
  detectionSchema,
  mappingProposalSchema,
  queuePreviewSchema,
} from './detection.ts';
import {
  bulkSchema,
  engineViewSchema,
  holdSchema,
  jobFilterSchema,
  jobRecordSchema,
  recentAttemptSchema,
} from './engine-report.ts';
import type { ErrorCode } from './errors.ts';
import { historyQuerySchema, historySchema } from './history.ts';
import { connectionSummarySchema, overviewDeltaSchema, overviewSchema, tenantRowSchema } from './live.ts';
import {
  logContextSchema,
  logSearchSchema,
  searchProgressSchema,
  storedLogsSchema,
  timingAnalysisQuerySchema,
  timingAnalysisSchema,
  timingSizesSchema,
} from './log-search.ts';
import { logTailSchema } from './logs.ts';
import { engineSettingsSchema, kindNameSchema } from './job-kinds.ts';
import {
  jobsPageSchema,
  jobsQuerySchema,
  locksPageSchema,
  locksQuerySchema,
  queueJobDetailSchema,
} from './queue-jobs.ts';
import { rehearsalChangeSchema, rehearsalSchema } from './rehearsal.ts';
import { connectionSettingsSchema, ruleOverrideSchema } from './settings.ts';

interface MethodSpec {
  input: z.ZodType;
  output: z.ZodType;
  /** The codes a caller should expect besides `internal` and `bad-request`. */
  errors: readonly ErrorCode[];
}
interface StreamSpec {
  params: z.ZodType;
  snapshot: z.ZodType;
  delta: z.ZodType;
}
const method = <const S extends MethodSpec>(spec: S): S => spec;
const stream = <const S extends StreamSpec>(spec: S): S => spec;

const nothing = z.strictObject({});
const connectionDraft = z.strictObject({
  connection: connectionSettingsSchema,
  /** Secrets by their `stored` key; a key left out keeps what is stored. Write-only: never sent back. */
  secrets: z.record(z.string(), z.string()).default({}),
});

/** `id` names the trouble: the same trouble told again replaces its notice. */
const noticeSchema = z.object({ id: z.string(), severity: severitySchema, text: z.string() });
export type Notice = z.infer<typeof noticeSchema>;

/** A page of jobs by id, from the first above `afterId`. */
const engineJobs = z.strictObject({
  connectionId: z.string(),
  filter: jobFilterSchema.default({}),
  afterId: z.int().nonnegative().default(0),
  limit: z.int().min(1).max(500).default(100),
});
const engineErrors = ['not-found', 'unreachable', 'timeout'] as const;

const ofConnection = z.strictObject({ connectionId: z.string() });
const lookErrors = [
  'not-found',
  'unreachable',
  'timeout',
  'budget-exceeded',
  'schema-mismatch',
  'grant-missing',
] as const;
/** As for a connection that is not saved yet: the settings may be wrong in every way. */
const draftErrors = [...lookErrors, 'settings-invalid', 'authentication-failed', 'database-unknown'] as const;

export const methods = {
  'app.info': method({
    input: nothing,
    output: z.object({
      version: z.string(),
      node: z.string(),
      platform: z.string(),
      dataDirectory: z.string(),
      settingsFile: z.string(),
      /** How secrets are kept here, in words. */
      secrets: z.string(),
      startedAtMs: z.number(),
    }),
    errors: [],
  }),
  'connections.get': method({
    input: z.strictObject({ id: z.string() }),
    output: connectionSettingsSchema,
    errors: ['not-found'],
  }),
  'connections.save': method({
    input: connectionDraft,
    output: z.object({ id: z.string() }),
    errors: ['settings-invalid', 'storage-failed'],
  }),
  'connections.remove': method({
    input: z.strictObject({ id: z.string() }),
    output: nothing,
    errors: ['not-found', 'storage-failed'],
  }),
  /** Remember a host key that a person has compared with its fingerprint. */
  'hostKeys.accept': method({
    input: z.strictObject({ host: z.string(), port: z.int(), fingerprint: z.string() }),
    output: nothing,
    errors: ['not-found', 'host-key-changed', 'storage-failed'],
  }),
  'history.query': method({ input: historyQuerySchema, output: historySchema, errors: ['storage-failed'] }),
  /** What the log store holds of a connection. */
  'logs.stored': method({
    input: ofConnection,
    output: storedLogsSchema,
    errors: ['not-found', 'storage-failed'],
  }),
  /** Lines around one that a search found. */
  'logs.context': method({
    input: ofConnection.extend({
      at: z.string().max(100),
      before: z.int().min(0).max(500),
      after: z.int().min(0).max(500),
    }),
    output: logContextSchema,
    errors: ['not-found', 'storage-failed'],
  }),
  /** Where time went, by the history. */
  'timing.analysis': method({
    input: timingAnalysisQuerySchema,
    output: timingAnalysisSchema,
    errors: ['not-found', 'storage-failed'],
  }),
  /** A field of size against a stage, and the slowest jobs, by the stored lines themselves. */
  'timing.sizes': method({
    input: ofConnection.extend({
      fromMs: z.number(),
      toMs: z.number(),
      tenantId: z.string().nullable(),
      stage: z.string().max(256),
    }),
    output: timingSizesSchema,
    errors: ['not-found', 'storage-failed', 'timeout'],
  }),
  'alerts.acknowledge': method({
    input: z.strictObject({ alertId: z.string() }),
    output: nothing,
    errors: ['not-found'],
  }),
  'rules.list': method({
    input: z.strictObject({ connectionId: z.string() }),
    output: z.array(alertRuleSchema),
    errors: ['not-found'],
  }),
  /** Change a rule of one connection, in settings; other connections keep theirs. */
  'rules.change': method({
    input: z.strictObject({ connectionId: z.string(), rule: metricSchema, change: ruleOverrideSchema }),
    output: nothing,
    errors: ['not-found', 'settings-invalid', 'storage-failed'],
  }),
  'rehearsal.set': method({ input: rehearsalChangeSchema, output: rehearsalSchema, errors: ['not-found'] }),
  /** Makes the incident happen now. */
  'rehearsal.act': method({ input: nothing, output: nothing, errors: ['not-found'] }),

  // What any connection's system shows beside its polls; read when asked, on a session of its own.
  'queue.capabilities': method({ input: ofConnection, output: capabilitiesSchema, errors: lookErrors }),
  'queue.jobs': method({
    input: jobsQuerySchema.extend({ connectionId: z.string() }),
    output: jobsPageSchema,
    errors: [...lookErrors, 'bad-request'],
  }),
  /** Null when there is no such job any more. */
  'queue.job': method({
    input: ofConnection.extend({ id: z.string().min(1).max(1_000) }),
    output: queueJobDetailSchema.nullable(),
    errors: lookErrors,
  }),
  'queue.locks': method({
    input: locksQuerySchema.extend({ connectionId: z.string() }),
    output: locksPageSchema,
    errors: lookErrors,
  }),
  /** Null for a system without a database server. */
  'queue.health': method({
    input: ofConnection,
    output: databaseHealthSchema.nullable(),
    errors: lookErrors,
  }),
  'queue.indexAdvice': method({
    input: ofConnection,
    output: indexAdviceSchema.nullable(),
    errors: lookErrors,
  }),
  // Before there is a connection.
  'queue.detect': method({ input: databaseDraftSchema, output: detectionSchema, errors: draftErrors }),
  /** How to read a table as jobs, from its columns and a look at its rows. */
  'queue.proposeMapping': method({
    input: databaseDraftSchema.extend({ table: z.string().min(1).max(200) }),
    output: mappingProposalSchema,
    errors: draftErrors,
  }),
  /** What a drafted connection of kind `queue` would show. */
  'queue.preview': method({ input: connectionDraft, output: queuePreviewSchema, errors: draftErrors }),

  // The jobs of an engine: that of this computer, or a headless one's by its database. `connectionId` must be of such a kind.
  'engine.deadJobs': method({
    input: engineJobs,
    output: z.array(jobRecordSchema),
    errors: engineErrors,
  }),
  'engine.blockedJobs': method({
    input: engineJobs,
    output: z.array(z.object({ job: jobRecordSchema, ancestorId: z.int() })),
    errors: engineErrors,
  }),
  /** A job's page; `job` is null when it is done. `payload` is redacted as its kind says, and shortened. */
  'engine.job': method({
    input: z.strictObject({ connectionId: z.string(), id: z.int() }),
    output: z.object({
      job: jobRecordSchema.nullable(),
      payload: z.object({ text: z.string(), shortened: z.boolean() }).nullable(),
      recent: z.array(recentAttemptSchema),
    }),
    errors: engineErrors,
  }),
  'engine.hold': method({
    input: z.strictObject({
      connectionId: z.string(),
      tenantId: z.string().nullable(),
      kind: z.string().nullable(),
      mode: holdSchema.shape.mode,
      reason: z.string().max(500),
    }),
    output: nothing,
    errors: [...engineErrors, 'unauthorized'],
  }),
  'engine.unhold': method({
    input: z.strictObject({
      connectionId: z.string(),
      tenantId: z.string().nullable(),
      kind: z.string().nullable(),
    }),
    output: z.object({ held: z.boolean() }),
    errors: [...engineErrors, 'unauthorized'],
  }),
  /** Begins a long operation as a job of the engine; the `engine` stream shows its progress. */
  'engine.bulk': method({
    input: z.strictObject({
      connectionId: z.string(),
      what: bulkSchema.shape.what,
      filter: jobFilterSchema,
    }),
    output: z.object({ jobId: z.int() }),
    errors: [...engineErrors, 'unauthorized'],
  }),
  'engine.stopBulk': method({
    input: z.strictObject({ connectionId: z.string(), jobId: z.int() }),
    output: nothing,
    errors: engineErrors,
  }),
  /** Enqueues one job by hand. */
  'engine.enqueue': method({
    input: z.strictObject({
      connectionId: z.string(),
      kind: kindNameSchema,
      tenantId: z.string().min(1).max(255),
      payload: z.json(),
    }),
    output: z.object({ id: z.int() }),
    errors: [...engineErrors, 'unauthorized', 'conflict'],
  }),
  /** What this computer's engine is set to: `engine` in the settings. */
  'engine.settings': method({ input: nothing, output: engineSettingsSchema, errors: [] }),
  'engine.saveSettings': method({
    input: engineSettingsSchema,
    output: nothing,
    errors: ['settings-invalid', 'storage-failed'],
  }),
} as const;

export const streams = {
  /** Every connection with its state; the whole list on each change. */
  connections: stream({
    params: nothing,
    snapshot: z.array(connectionSummarySchema),
    delta: z.array(connectionSummarySchema),
  }),
  overview: stream({
    params: z.strictObject({ connectionId: z.string() }),
    snapshot: overviewSchema,
    delta: overviewDeltaSchema,
  }),
  /** One tenant with its stages over the timing window. */
  tenant: stream({
    params: z.strictObject({ connectionId: z.string(), tenantId: z.string() }),
    snapshot: z.object({
      asOfMs: z.number().nullable(),
      row: tenantRowSchema,
      stages: z.array(stageStatsSchema),
      timingWindowMs: z.number(),
    }),
    delta: z.object({
      asOfMs: z.number().nullable(),
      row: tenantRowSchema,
      stages: z.array(stageStatsSchema),
      timingWindowMs: z.number(),
    }),
  }),
  /** The newest lines, then what follows. */
  logs: stream({
    params: z.strictObject({ connectionId: z.string() }),
    snapshot: logTailSchema,
    delta: logTailSchema,
  }),
  /** Searches the stored lines; found ones come as they are found. Closing it stops the search. */
  logSearch: stream({
    params: logSearchSchema,
    snapshot: searchProgressSchema,
    delta: searchProgressSchema,
  }),
  alerts: stream({
    params: nothing,
    /** Alerts that are not normal, and the newest changes of state, newest last. */
    snapshot: z.object({ alerts: z.array(alertSchema), events: z.array(alertEventSchema) }),
    delta: z.object({
      changed: z.array(alertSchema),
      events: z.array(alertEventSchema),
      /** Events a person should be told of now. */
      notify: z.array(alertEventSchema),
    }),
  }),
  /** An engine and its jobs, about once a second. Fails with `not-found` for a connection of another kind. */
  engine: stream({
    params: z.strictObject({ connectionId: z.string() }),
    snapshot: engineViewSchema,
    delta: engineViewSchema,
  }),
  rehearsal: stream({
    params: nothing,
    snapshot: rehearsalSchema.nullable(),
    delta: rehearsalSchema.nullable(),
  }),
  /** What a person should know of Headway itself: settings that were refused, history that was set aside. */
  notices: stream({ params: nothing, snapshot: z.array(noticeSchema), delta: z.array(noticeSchema) }),
  /** Runs the steps of "Test" on a draft; the whole list on each change. Closing it stops the test. */
  connectionTest: stream({
    params: connectionDraft,
    snapshot: connectionTestSchema,
    delta: connectionTestSchema,
  }),
} as const;

export type MethodName = keyof typeof methods;
export type StreamName = keyof typeof streams;
/** What a caller sends (defaults may be left out) and what a handler receives. */
export type CallInput<M extends MethodName> = z.input<(typeof methods)[M]['input']>;
export type HandlerInput<M extends MethodName> = z.output<(typeof methods)[M]['input']>;
export type MethodOutput<M extends MethodName> = z.output<(typeof methods)[M]['output']>;
export type SubscribeParams<S extends StreamName> = z.input<(typeof streams)[S]['params']>;
export type StreamParams<S extends StreamName> = z.output<(typeof streams)[S]['params']>;
export type Snapshot<S extends StreamName> = z.output<(typeof streams)[S]['snapshot']>;
export type Delta<S extends StreamName> = z.output<(typeof streams)[S]['delta']>;

/** One handler a method: a missing one does not compile. A failure is thrown as HeadwayError. */
export type MethodHandlers = {
  [M in MethodName]: (input: HandlerInput<M>, signal: AbortSignal) => Promise<MethodOutput<M>>;
};

/**
 * One handler a stream. It returns the snapshot, then calls `emit` until `signal` aborts; what it emits before
 * the snapshot is returned is sent after it. `fail` ends the stream with an error.
 */
export type StreamHandlers = {
  [S in StreamName]: (
    params: StreamParams<S>,
    sink: { emit: (delta: Delta<S>) => void; fail: (error: unknown) => void },
    signal: AbortSignal,
  ) => Promise<Snapshot<S>>;
};
