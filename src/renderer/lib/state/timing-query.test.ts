import { describe, expect, it } from 'vitest';
import { againstEdges, edgesOf, parseTiming, timingQuery, type TimingWish } from './timing-query.ts';

describe('what the timing view shows, as an address', () => {
  const plain: TimingWish = {
    range: { kind: 'last', spanMs: 3_600_000 },
    tenantIds: [],
    against: null,
    stage: 'total',
  };
  const wishes: TimingWish[] = [
    plain,
    { ...plain, range: { kind: 'last', spanMs: 900_000 }, against: 'week' },
    { ...plain, range: { kind: 'fixed', fromMs: 1_000, toMs: 2_000 }, stage: 'deliver' },
    { ...plain, tenantIds: ['3', 'a,b', '100 %', 'ø&='] },
  ];
  it.each(wishes)('comes back from its own query', (wish) => {
    const search = new URLSearchParams(timingQuery(wish)).toString();
    expect(parseTiming(Object.fromEntries(new URLSearchParams(search)))).toEqual(wish);
  });

  it('takes what makes no sense as it is at first', () => {
    expect(parseTiming({ from: '9', to: '3', last: 'ever', against: 'me', tenants: ',,' })).toEqual(plain);
    expect(parseTiming({ from: 'x', to: '1e99' }).range).toEqual(plain.range);
    expect(parseTiming({ tenants: '%zz,%zz,3' }).tenantIds).toEqual(['%zz', '3']);
  });

  it('compares with as long a time before', () => {
    const edges = edgesOf({ kind: 'last', spanMs: 900_000 }, 10_000_000_000);
    expect(edges).toEqual({ fromMs: 9_999_100_000, toMs: 10_000_000_000 });
    expect(againstEdges(edges, null)).toBeNull();
    expect(againstEdges(edges, 'before')).toEqual({ fromMs: 9_998_200_000, toMs: 9_999_100_000 });
    expect(againstEdges(edges, 'day')).toEqual({ fromMs: 9_912_700_000, toMs: 9_913_600_000 });
  });
});
