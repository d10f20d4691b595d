// What kind of failure an attempt had: it decides whether and when the job is tried again (incident 4).
import { z } from 'zod';

/**
 * `transient`: may pass by itself. `permanent`: the same job will fail again. `rate-limit`: too many calls now.
 * `quota`: an allowance is used up until its reset. `timeout`: it took too long.
 */
export const errorClassSchema = z.enum(['transient', 'permanent', 'rate-limit', 'quota', 'timeout']);
export type ErrorClass = z.infer<typeof errorClassSchema>;
