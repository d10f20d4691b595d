// The steps of "Test": each with its result, its time, and what to do when it failed.
import { z } from 'zod';
import { wireErrorSchema } from './errors.ts';

export const testStepSchema = z.object({
  /** Unique within a test, e.g. `database.authenticate`, `log.0.connect`. */
  id: z.string(),
  title: z.string(),
  state: z.enum(['waiting', 'running', 'ok', 'warning', 'failed', 'skipped']),
  durationMs: z.number().nullable(),
  /** What was found: an address, a version, a count of tenants. */
  detail: z.string(),
  error: wireErrorSchema.nullable(),
});
export type TestStep = z.infer<typeof testStepSchema>;

export const connectionTestSchema = z.object({ done: z.boolean(), steps: z.array(testStepSchema) });
export type ConnectionTest = z.infer<typeof connectionTestSchema>;
