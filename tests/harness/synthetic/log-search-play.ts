// Timing analysis of a synthetic host; it stores no lines, so that a search finds none.
import type { MethodHandlers, StreamHandlers } from '../../../src/contract/api.ts';
import { timingPlay } from './timing-play.ts';

type LogMethod = 'logs.stored' | 'logs.context' | 'timing.analysis' | 'timing.sizes';

export const logSearchPlay: {
  methods: Pick<MethodHandlers, LogMethod>;
  streams: Pick<StreamHandlers, 'logSearch'>;
} = {
  methods: {
    'logs.stored': () =>
      Promise.resolve({
        lines: 0,
        bytes: 0,
        limitBytes: 2 * 1024 ** 3,
        fromMs: null,
        toMs: null,
        unstored: 0,
        problem: null,
      }),
    'logs.context': () => Promise.resolve({ lines: [], atStart: true, atEnd: true }),
    ...timingPlay,
  },
  streams: {
    logSearch: () =>
      Promise.resolve({
        lines: [],
        found: 0,
        more: false,
        scannedBytes: 0,
        totalBytes: 0,
        elapsedMs: 0,
        done: true,
        histogram: null,
        problems: [],
      }),
  },
};
