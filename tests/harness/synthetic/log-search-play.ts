// NOT YET: stored lines and timing analysis of a synthetic host.
import type { MethodHandlers, StreamHandlers } from '../../../src/contract/api.ts';
import { timingPlay } from './timing-play.ts';

const notYet = (): Promise<never> => Promise.reject(new Error('not yet'));
type LogMethod = 'logs.stored' | 'logs.context' | 'timing.analysis' | 'timing.sizes';

export const logSearchPlay: {
  methods: Pick<MethodHandlers, LogMethod>;
  streams: Pick<StreamHandlers, 'logSearch'>;
} = {
  methods: {
    'logs.stored': notYet,
    'logs.context': notYet,
    ...timingPlay,
  },
  streams: { logSearch: notYet },
};
