// How settings name a secret without holding it.
import { z } from 'zod';

/** Where a secret is found: an environment variable, a file only its owner can read, or the secret store. */
export const secretRefSchema = z.union([
  z.strictObject({ env: z.string().min(1) }),
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ stored: z.string().min(1) }),
]);
export type SecretRef = z.infer<typeof secretRefSchema>;
