import { describe, expect, it } from 'vitest';
import { tenantStatusSchema } from '../core/status.ts';
import { groupOf } from './live.ts';

describe('groupOf', () => {
  it('puts every status into one group, by its severity where work moves', () => {
    const grouped = (severity: 'critical' | null) =>
      Object.fromEntries(tenantStatusSchema.options.map((status) => [status, groupOf({ status, severity })]));
    expect(grouped(null)).toEqual({
      'no-data': 'no-data',
      'warming-up': 'ok',
      paused: 'ok',
      stopped: 'stalled',
      idle: 'ok',
      ok: 'ok',
      stalled: 'stalled',
      stuck: 'stalled',
      lagging: 'ok',
      recovering: 'ok',
    });
    const late = Object.entries(grouped('critical')).filter(([, group]) => group === 'late');
    expect(late.map(([status]) => status)).toEqual([
      'warming-up',
      'paused',
      'idle',
      'ok',
      'lagging',
      'recovering',
    ]);
    expect(groupOf({ status: 'lagging', severity: 'warning' })).toBe('late');
    expect(groupOf({ status: 'stalled', severity: 'warning' })).toBe('stalled');
  });
});
