// NOT YET: detection of a synthetic host. What is looked at of a connection is in look-play.ts.
import type { MethodHandlers } from '../../../src/contract/api.ts';

const notYet = (): Promise<never> => Promise.reject(new Error('not yet'));
type DraftMethods = Pick<MethodHandlers, 'queue.detect' | 'queue.proposeMapping' | 'queue.preview'>;

export const queuePlay: DraftMethods = {
  'queue.detect': notYet,
  'queue.proposeMapping': notYet,
  'queue.preview': notYet,
};
