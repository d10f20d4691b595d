import { describe, expect, it } from 'vitest';
import { behindOfLatest } from './claim-order.ts';
import { queueSample } from './heads.ts';
import type { QueuedRow } from './heads.ts';

const nowMs = 1_800_000_000_000;
const moment = { nowMs, staleAfterMs: 86_400_000 };
/** Ready rows of one tenant; the id is also the second of their creation. */
const queue = (tenantId: string, ids: number[], change: (id: number) => Partial<QueuedRow> = () => ({})) => {
  const rows = ids.map((id) => ({
    id,
    lockedBy: null,
    lockedAtMs: null,
    retryAfterMs: null,
    createdAtMs: nowMs - 1_000_000 + id * 1000,
    ...change(id),
  }));
  const more = rows.length >= 201;
  const tail = more ? rows.slice(-50) : [];
  const read = { tenantId, head: rows.slice(0, 201), tail, more, estimatedRows: rows.length };
  return { read, sample: queueSample(read, moment) };
};
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe('who stands in front', () => {
  it('a burst of a neighbour, counted to the row', () => {
    const behind = behindOfLatest([queue('17', range(1, 50)), queue('3', [51])], moment);
    expect(behind.get('3')).toEqual({
      ahead: { value: 50, kind: 'exact' },
      tenants: [{ tenantId: '17', share: 1 }],
    });
    expect(behind.get('17')?.ahead).toEqual({ value: 0, kind: 'exact' });
  });

  it('delayed and running rows are nobody to wait for', () => {
    const mixed = queue('17', range(1, 40), (id) =>
      id % 4 === 0
        ? { retryAfterMs: nowMs + 1000 }
        : id % 4 === 1
          ? { lockedBy: 'a', lockedAtMs: nowMs - 10 }
          : {},
    );
    expect(behindOfLatest([mixed, queue('3', [51])], moment).get('3')?.ahead.value).toBe(20);
  });

  it('a long queue wholly in front counts as a whole, one that reaches past is a lower bound', () => {
    const long = queue('17', range(1, 900));
    const whole = behindOfLatest([long, queue('3', [1000])], moment).get('3');
    expect(whole?.ahead).toEqual({ value: 900, kind: 'estimate' });
    const part = behindOfLatest([long, queue('3', [500])], moment).get('3');
    expect(part?.ahead).toEqual({ value: 201, kind: 'at-least' });
  });

  it('only the fifty latest are asked about', () => {
    const queues = range(1, 80).map((id) => queue(String(id), [id]));
    const behind = behindOfLatest(queues, moment);
    expect([...behind.keys()]).toEqual(range(1, 50).map(String));
  });

  it('nobody waits: nobody is asked about', () => {
    expect(behindOfLatest([queue('1', [])], moment).size).toBe(0);
  });
});
