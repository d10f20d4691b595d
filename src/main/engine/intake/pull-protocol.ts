// What programs that pull their jobs write and read: `POST /take` and `POST /settle`.
import { z } from 'zod';
import { errorClassSchema } from '../../../core/error-class.ts';
import type { Claim } from '../job.ts';
import type { PulledEnd } from './pull-end.ts';

/** Settlements of one request. */
export const MOST_SETTLEMENTS = 10_000;

const lease = { id: z.int().min(1), fence: z.int().min(1) };
const stages = z.record(z.string().min(1).max(100), z.number().nonnegative()).optional();

const settlementSchema = z.discriminatedUnion('result', [
  z.strictObject({ ...lease, result: z.literal('done'), stages }),
  z.strictObject({
    ...lease,
    result: z.literal('failed'),
    class: errorClassSchema.default('transient'),
    message: z.string().min(1).max(10_000),
    /** The other side said when to come again. */
    retryAfterSeconds: z.number().nonnegative().optional(),
    stages,
  }),
  /** Not really tried: the attempt does not count. */
  z.strictObject({ ...lease, result: z.literal('returned') }),
]);

export const settleBodySchema = z.strictObject({
  settlements: z.array(settlementSchema).max(MOST_SETTLEMENTS),
});

/** In the words of the desk. */
export function endOf(settlement: z.infer<typeof settlementSchema>): PulledEnd {
  const { id, fence } = settlement;
  switch (settlement.result) {
    case 'done':
      return { id, fence, how: 'done', stages: settlement.stages ?? {} };
    case 'returned':
      return { id, fence, how: 'returned' };
    case 'failed':
      return {
        id,
        fence,
        how: 'failed',
        class: settlement.class,
        message: settlement.message,
        retryAfterMs: settlement.retryAfterSeconds === undefined ? null : settlement.retryAfterSeconds * 1000,
        stages: settlement.stages ?? {},
      };
  }
}

/** A claim as the taker reads it; its lease ends `leaseSeconds` after it was sent. */
export function leaseOf(claim: Claim, leaseMs: number): object {
  const { id, fence, kind, tenantId, payload, attempt, maxAttempts, batchId } = claim;
  return {
    id,
    fence,
    kind,
    tenant: tenantId,
    attempt,
    maxAttempts,
    batch: batchId,
    leaseSeconds: leaseMs / 1000,
    payload,
  };
}
