// Words for a tenant's condition. The evaluation order is the order of this list.
import { z } from 'zod';

export const tenantStatusSchema = z.enum([
  'no-data',
  'warming-up',
  'paused',
  'stopped',
  'idle',
  'ok',
  'stalled',
  'stuck',
  'lagging',
  'recovering',
]);
export type TenantStatus = z.infer<typeof tenantStatusSchema>;
