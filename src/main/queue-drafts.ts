// NOT YET: what a database holds, before there is a connection to it.
import type { MethodHandlers } from '../contract/api.ts';

const notYet = (): Promise<never> => Promise.reject(new Error('not yet'));
export const queueDrafts: Pick<MethodHandlers, 'queue.detect' | 'queue.proposeMapping' | 'queue.preview'> = {
  'queue.detect': notYet,
  'queue.proposeMapping': notYet,
  'queue.preview': notYet,
};
