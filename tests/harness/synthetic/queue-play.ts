// NOT YET: jobs, locks and health of a synthetic host.
import type { MethodHandlers } from '../../../src/contract/api.ts';
import { draftPlay } from './draft-play.ts';

const notYet = (): Promise<never> => Promise.reject(new Error('not yet'));
type QueueMethods = Pick<MethodHandlers, Extract<keyof MethodHandlers, `queue.${string}`>>;

export const queuePlay: QueueMethods = {
  'queue.capabilities': notYet,
  'queue.jobs': notYet,
  'queue.job': notYet,
  'queue.locks': notYet,
  'queue.health': notYet,
  'queue.indexAdvice': notYet,
  ...draftPlay,
};
