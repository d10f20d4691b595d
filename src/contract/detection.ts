// From a database to a connection: which queues live in it, and how a table of jobs is best read.
import { z } from 'zod';
import { countSchema } from '../core/count.ts';
import { queueJobSchema } from './queue-jobs.ts';
import { queueSystemSchema } from './queue-systems.ts';
import { databaseSchema, jobsMappingSchema } from './settings.ts';

/** A database as the form holds it, with what was typed into its password field, if anything. */
export const databaseDraftSchema = z.strictObject({
  database: z.discriminatedUnion('type', [
    databaseSchema.extend({ type: z.literal('postgres') }),
    databaseSchema.extend({ type: z.literal('mysql') }),
  ]),
  /** Secrets by their `stored` key, as for saving a connection. Never sent back. */
  secrets: z.record(z.string(), z.string()).default({}),
});
export type DatabaseDraft = z.output<typeof databaseDraftSchema>;

export const detectedQueueSchema = z.object({
  system: z.union([queueSystemSchema, z.literal('postal'), z.literal('engine')]),
  /** "River", and where: schema or table. Null schema: the system has its tables in the database itself. */
  name: z.string(),
  schema: z.string().nullable(),
  table: z.string().nullable(),
  /** "migration 6", "schema version 43"; null where it keeps none. */
  version: z.string().nullable(),
  /** What stands in the way of reading it: half migrated, newer than known, grants. Empty: ready to connect. */
  problems: z.array(z.string()),
});
export type DetectedQueue = z.infer<typeof detectedQueueSchema>;
export const detectionSchema = z.object({
  server: z.string(),
  /** Those that are whole first. */
  queues: z.array(detectedQueueSchema),
  /** What was looked for in vain, or could not be seen, in a sentence each. */
  notes: z.array(z.string()),
});
export type Detection = z.infer<typeof detectionSchema>;

export const mappingProposalSchema = z.object({
  mapping: jobsMappingSchema,
  /** Why each column was chosen, by the mapping's field: "named status, 4 values". */
  reasons: z.record(z.string(), z.string()),
  columns: z.array(z.object({ name: z.string(), type: z.string(), nullable: z.boolean() })),
  /** Values found in the state column, as many as were looked for. */
  stateValues: z.array(z.string()),
  /** What the engineer must decide: "two columns may be the tenant". */
  doubts: z.array(z.string()),
});
export type MappingProposal = z.infer<typeof mappingProposalSchema>;

/** What the connection would show, read once. */
export const queuePreviewSchema = z.object({
  system: z.string(),
  tenantWord: z.string(),
  warnings: z.array(z.string()),
  tenantCount: z.int().nonnegative(),
  /** The latest first, at most 20. */
  tenants: z.array(
    z.object({
      name: z.string(),
      lagMs: z.number().nullable(),
      ready: countSchema,
      delayed: countSchema,
      running: countSchema,
      dead: countSchema.nullable(),
    }),
  ),
  /** Some jobs as they would be listed. */
  jobs: z.array(queueJobSchema),
  costMs: z.number().nonnegative(),
});
export type QueuePreview = z.infer<typeof queuePreviewSchema>;
