// The settings file, schema-checked. No secret ever stands in it: only where a secret is found.
import { z } from 'zod';
import { metricSchema } from '../core/alert.ts';
import { engineSettingsSchema } from './job-kinds.ts';
import { queueSystems, queueSystemSchema } from './queue-systems.ts';
import { secretRefSchema } from './secret-ref.ts';

const port = z.int().min(1).max(65_535);
const id = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use small letters, digits and hyphens, at most 63');

export const tlsSchema = z.strictObject({
  mode: z.enum(['disabled', 'required', 'verify-ca', 'verify-identity']),
  caFile: z.string().optional(),
  certFile: z.string().optional(),
  keyFile: z.string().optional(),
});

export const databaseSchema = z.strictObject({
  host: z.string().min(1),
  port: port.default(3306),
  user: z.string().min(1),
  database: z.string().min(1),
  password: secretRefSchema.optional(),
  tls: tlsSchema.default({ mode: 'disabled' }),
});
/** A database on a server: MySQL, MariaDB or PostgreSQL. */
export type DatabaseSettings = z.infer<typeof databaseSchema>;

/** Where an engine keeps its jobs: what `headway worker --store` was given. */
export const engineStoreSchema = z.discriminatedUnion('type', [
  /** A file on this computer. */
  z.strictObject({ type: z.literal('sqlite'), file: z.string().min(1) }),
  z.strictObject({
    type: z.literal('postgres'),
    database: databaseSchema.extend({ port: port.default(5432) }),
  }),
  /** MySQL or MariaDB. */
  z.strictObject({ type: z.literal('mysql'), database: databaseSchema }),
]);
export type EngineStoreSettings = z.infer<typeof engineStoreSchema>;

/** No option of kubectl: a hyphen does not begin it. */
const name = z.string().regex(/^[^-\s].*$/, 'needs a name that does not begin with a hyphen');

export const logInputSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('file'), path: z.string().min(1) }),
  /** All files that a pattern of the shell names, such as `/var/log/app/*.log`, found again and again. */
  z.strictObject({ kind: z.literal('files'), pattern: z.string().min(1) }),
  z.strictObject({ kind: z.literal('docker'), container: z.string().min(1) }),
  /** All running containers with a label: `com.docker.compose.service=worker`. */
  z.strictObject({ kind: z.literal('docker-label'), label: z.string().min(1) }),
  z.strictObject({ kind: z.literal('journal'), unit: z.string().min(1) }),
  /** One pod by its name, or all that a label selector finds. */
  z
    .strictObject({
      kind: z.literal('kubernetes'),
      /** kubectl's own default when left out. */
      namespace: name.optional(),
      pod: name.optional(),
      selector: name.optional(),
      /** All containers of a pod when left out. */
      container: name.optional(),
    })
    .refine(({ pod, selector }) => (pod === undefined) !== (selector === undefined), {
      path: ['pod'],
      message: 'name either a pod or a selector',
    }),
  /** A program and its arguments; no shell takes part. The lines of its output are the log. */
  z.strictObject({ kind: z.literal('command'), command: z.array(z.string().min(1)).min(1) }),
]);
export type LogInput = z.infer<typeof logInputSchema>;

export const sshAuthSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('agent') }),
  z.strictObject({
    kind: z.literal('key'),
    file: z.string().min(1),
    passphrase: secretRefSchema.optional(),
  }),
  z.strictObject({ kind: z.literal('password'), password: secretRefSchema }),
  /** No login: the host is this computer, and SSH takes no part. */
  z.strictObject({ kind: z.literal('local') }),
]);

export const logHostSchema = z
  .strictObject({
    /** A name, an address, or an alias of the SSH config. */
    host: z.string().min(1),
    /** 22 leaves it to the SSH config. */
    port: port.default(22),
    /** Empty leaves it to the SSH config, which without a word means the user of this computer. */
    user: z.string().default(''),
    auth: sshAuthSchema,
    inputs: z.array(logInputSchema).min(1),
  })
  .refine(({ host, auth }) => auth.kind !== 'local' || host === 'localhost', {
    path: ['host'],
    message: 'only "localhost" is read without SSH',
  });
export type LogHostSettings = z.infer<typeof logHostSchema>;

/** Changes to a shipped rule. Thresholds in the unit people write: seconds, jobs, or a ratio from 0 to 1. */
export const ruleOverrideSchema = z.strictObject({
  enabled: z.boolean().optional(),
  warning: z.number().nonnegative().nullable().optional(),
  critical: z.number().nonnegative().nullable().optional(),
  forSeconds: z.number().nonnegative().optional(),
  keepFiringForSeconds: z.number().nonnegative().optional(),
});
export type RuleOverride = z.infer<typeof ruleOverrideSchema>;
export const ruleOverridesSchema = z.partialRecord(metricSchema, ruleOverrideSchema);
export type RuleOverrides = z.infer<typeof ruleOverridesSchema>;

export const environmentSchema = z.enum(['development', 'staging', 'production']);
export type Environment = z.infer<typeof environmentSchema>;
export const safetySchema = z.enum(['read-only', 'confirm', 'confirm-by-name']);
export type Safety = z.infer<typeof safetySchema>;

/** What every connection has, whatever it watches. */
const common = {
  id,
  name: z.string().min(1).max(80),
  environment: environmentSchema.default('production'),
  /** What Headway may change; a read-only connection also has a read-only session on its database. */
  safety: safetySchema.default('read-only'),
  logHosts: z.array(logHostSchema).default([]),
  /** Seconds between two polls; doubled by back-off when a poll exceeds its budget. */
  pollSeconds: z.number().min(0.25).max(300).default(2),
  /** Length of the sliding window that statuses are judged over. */
  windowSeconds: z.number().min(2).max(3600).default(60),
  /** Tenants (by name or id) whose jobs are watched end to end. */
  canaryTenants: z.array(z.string().min(1)).default([]),
  alerts: ruleOverridesSchema.default({}),
};

/** A Postal mail server by its main database. */
export const postalConnectionSchema = z.strictObject({
  ...common,
  kind: z.literal('postal'),
  database: databaseSchema,
  postal: z
    .strictObject({
      /** A server's message database is this prefix followed by the server's id. */
      messageDatabasePrefix: z.string().default('postal-server-'),
      /** Postal deletes locks older than this, and their mail. */
      staleLockHours: z.number().positive().default(24),
    })
    .default({ messageDatabasePrefix: 'postal-server-', staleLockHours: 24 }),
});
export type PostalConnection = z.infer<typeof postalConnectionSchema>;

/** Headway's own engine, running headless elsewhere, by the store that it works on. */
export const engineConnectionSchema = z.strictObject({
  ...common,
  kind: z.literal('engine'),
  store: engineStoreSchema,
});
export type EngineConnection = z.infer<typeof engineConnectionSchema>;

/** How a table of jobs is to be read: its columns, and what its states mean. */
export const jobsMappingSchema = z.strictObject({
  /** "jobs", or with its schema: "app.jobs". */
  table: z.string().min(1),
  id: z.string().min(1),
  /** The column that must be treated fairly. */
  tenant: z.string().min(1),
  kind: z.string().min(1).optional(),
  state: z.string().min(1),
  /** Values of the state column by what they mean. */
  states: z
    .strictObject({
      ready: z.array(z.string()).min(1),
      running: z.array(z.string()).default([]),
      delayed: z.array(z.string()).default([]),
      held: z.array(z.string()).default([]),
      dead: z.array(z.string()).default([]),
      done: z.array(z.string()).default([]),
    })
    .refine((states) => {
      const values = Object.values(states).flat();
      return new Set(values).size === values.length;
    }, 'a value stands under two meanings'),
  createdAt: z.string().min(1),
  /** When it may start; creation when left out. */
  readyAt: z.string().min(1).optional(),
  startedAt: z.string().min(1).optional(),
  finishedAt: z.string().min(1).optional(),
  /** The worker's sign of life, or of its last change: a running job is stale when it is older than the limit. */
  heartbeatAt: z.string().min(1).optional(),
  staleAfterSeconds: z.number().positive().default(600),
  lockedBy: z.string().min(1).optional(),
  attempts: z.string().min(1).optional(),
  maxAttempts: z.union([z.string().min(1), z.int().positive()]).optional(),
  priority: z.string().min(1).optional(),
  error: z.string().min(1).optional(),
  payload: z.string().min(1).optional(),
  /** The column that groups jobs which belong together. */
  batch: z.string().min(1).optional(),
});
export type JobsMapping = z.infer<typeof jobsMappingSchema>;

/** Any other queue in a database, by the system it belongs to. */
export const queueConnectionSchema = z
  .strictObject({
    ...common,
    kind: z.literal('queue'),
    system: queueSystemSchema,
    database: z.discriminatedUnion('type', [
      databaseSchema.extend({ type: z.literal('postgres'), port: port.default(5432) }),
      databaseSchema.extend({ type: z.literal('mysql') }),
    ]),
    /** The schema that holds its tables, where it is not the system's usual one. PostgreSQL only. */
    schema: z.string().min(1).optional(),
    /** For `jobs-table` alone. */
    mapping: jobsMappingSchema.optional(),
  })
  .refine(({ system, mapping }) => (system === 'jobs-table') === (mapping !== undefined), {
    path: ['mapping'],
    message: 'a jobs-table needs a mapping, and no other system takes one',
  })
  .refine(({ system, schema }) => system !== 'jobs-table' || schema === undefined, {
    path: ['schema'],
    message: 'a jobs table names its schema in the mapping: "app.jobs"',
  })
  .refine(({ system, database }) => queueSystems[system].databases.includes(database.type), {
    path: ['database', 'type'],
    message: 'this system runs on PostgreSQL',
  });
export type QueueConnection = z.infer<typeof queueConnectionSchema>;

export const connectionSettingsSchema = z.discriminatedUnion('kind', [
  postalConnectionSchema,
  engineConnectionSchema,
  queueConnectionSchema,
]);
/** A monitored system as the engineer configured it. */
export type ConnectionSettings = z.infer<typeof connectionSettingsSchema>;

/** The database server of a connection; null for a file. */
export function databaseOf(connection: ConnectionSettings): DatabaseSettings | null {
  if (connection.kind !== 'engine') return connection.database;
  return connection.store.type === 'sqlite' ? null : connection.store.database;
}

export const settingsSchema = z
  .strictObject({
    $schema: z.string().optional(),
    version: z.literal(1),
    connections: z.array(connectionSettingsSchema).default([]),
    /** Changes to the shipped alert rules for every connection. */
    alerts: ruleOverridesSchema.default({}),
    /** The local engine and its rehearsal. */
    thisComputer: z
      .strictObject({ enabled: z.boolean().default(true), alerts: ruleOverridesSchema.default({}) })
      .default({ enabled: true, alerts: {} }),
    /** The jobs of this computer: what the engineer declares here, beside the application's own. */
    engine: engineSettingsSchema.prefault({}),
    localJobs: z.strictObject({ alerts: ruleOverridesSchema.default({}) }).default({ alerts: {} }),
    history: z
      .strictObject({ budgetMegabytes: z.number().min(16).default(1024) })
      .default({ budgetMegabytes: 1024 }),
    /** What is kept of each connection's log lines, so that they can be searched. */
    logs: z
      .strictObject({
        budgetMegabytes: z.number().min(16).default(2048),
        keepDays: z.number().positive().max(3650).default(14),
      })
      .default({ budgetMegabytes: 2048, keepDays: 14 }),
  })
  .refine((s) => new Set(s.connections.map((c) => c.id)).size === s.connections.length, {
    path: ['connections'],
    message: 'two connections have the same id',
  });
export type Settings = z.infer<typeof settingsSchema>;

/** The id of the built-in connection to the rehearsal. */
export const THIS_COMPUTER = 'this-computer';
/** The id of the built-in connection to this computer's own jobs. */
export const LOCAL_ENGINE = 'local-engine';
/** Ids that settings cannot name. */
export const BUILT_IN: ReadonlySet<string> = new Set([THIS_COMPUTER, LOCAL_ENGINE]);
