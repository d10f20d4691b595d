// The schemas of failures; what they are is in headway-error.ts.
import { z } from 'zod';
import { errorCodes, type WireError } from './headway-error.ts';

export { HeadwayError, toWireError, type ErrorCode, type WireError } from './headway-error.ts';

export const errorCodeSchema = z.enum(errorCodes);

export const wireErrorSchema: z.ZodType<WireError> = z.object({
  code: errorCodeSchema,
  message: z.string(),
  retryable: z.boolean(),
  details: z.record(z.string(), z.string()).optional(),
});
