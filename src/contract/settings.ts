// The settings file, schema-checked. No secret ever stands in it: only where a secret is found.
import { z } from 'zod';
import { metricSchema } from '../core/alert.ts';
import { engineSettingsSchema } from './job-kinds.ts';
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

export const logInputSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('file'), path: z.string().min(1) }),
  z.strictObject({ kind: z.literal('docker'), container: z.string().min(1) }),
  z.strictObject({ kind: z.literal('journal'), unit: z.string().min(1) }),
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
]);

export const logHostSchema = z.strictObject({
  host: z.string().min(1),
  port: port.default(22),
  user: z.string().min(1),
  auth: sshAuthSchema,
  inputs: z.array(logInputSchema).min(1),
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

export const connectionSettingsSchema = z.discriminatedUnion('kind', [
  postalConnectionSchema,
  engineConnectionSchema,
]);
/** A monitored system as the engineer configured it. */
export type ConnectionSettings = z.infer<typeof connectionSettingsSchema>;

/** The database server of a connection; null for a file. */
export function databaseOf(connection: ConnectionSettings): DatabaseSettings | null {
  if (connection.kind === 'postal') return connection.database;
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
