import { describe, expect, it } from 'vitest';
import { fairShares, jainIndex } from './fair-share.ts';
import { seededRandom } from './seeded-random.ts';

describe('fairShares', () => {
  it('is empty when nothing was started', () => {
    expect(fairShares([{ tenantId: 'a', starts: 0, demand: 5 }]).size).toBe(0);
  });

  it('gives a light tenant all it asks for and divides the rest', () => {
    const shares = fairShares([
      { tenantId: 'edify', starts: 100, demand: 5_000 },
      { tenantId: 'mailflow', starts: 0, demand: 10 },
      { tenantId: 'shop', starts: 0, demand: 400 },
      { tenantId: 'idle', starts: 0, demand: 0 },
    ]);
    expect(shares.get('edify')).toEqual({ share: 1, fairShare: 0.45 });
    expect(shares.get('mailflow')).toEqual({ share: 0, fairShare: 0.1 });
    expect(shares.get('shop')).toEqual({ share: 0, fairShare: 0.45 });
    expect(shares.has('idle')).toBe(false);
  });

  it('is what turns in a circle give, to within a turn', () => {
    const random = seededRandom(12);
    for (let round = 0; round < 100; round++) {
      const demands = Array.from({ length: 8 }, (_, tenant) => ({
        tenant,
        ready: Math.floor(random() ** 4 * 300),
      }));
      const total = demands.reduce((sum, entry) => sum + entry.ready, 0);
      const starts = Math.ceil(total * random());
      const turns = roundRobin(demands, starts);
      const services = demands.map(({ tenant, ready }) => ({
        tenantId: String(tenant),
        starts: turns.filter((turn) => turn === tenant).length,
        demand: ready,
      }));
      const shares = fairShares(services);
      for (const { share, fairShare } of shares.values()) {
        expect(Math.abs(share - fairShare) * turns.length).toBeLessThanOrEqual(1 + 1e-9);
      }
      const sum = [...shares.values()].reduce((all, { fairShare }) => all + fairShare, 0);
      if (turns.length > 0) expect(sum).toBeCloseTo(1);
    }
  });
});

describe('jainIndex', () => {
  it('is 1 when all got the same part, 1/n when one got all, null without service', () => {
    expect(jainIndex([1, 2, 3].map((n) => ({ tenantId: String(n), starts: n, demand: n * 2 })))).toBeCloseTo(
      1,
    );
    expect(jainIndex([4, 0, 0, 0].map((starts, i) => ({ tenantId: String(i), starts, demand: 4 })))).toBe(
      0.25,
    );
    expect(jainIndex([{ tenantId: 'a', starts: 0, demand: 4 }])).toBeNull();
    expect(jainIndex([])).toBeNull();
  });
});

/** The tenants of so many turns, one job a turn, around a circle of those that still have work. */
function roundRobin(demands: readonly { tenant: number; ready: number }[], starts: number): number[] {
  const turns: number[] = [];
  for (let round = 1; turns.length < starts; round++) {
    const hasWork = demands.filter(({ ready }) => ready >= round);
    if (hasWork.length === 0) break;
    turns.push(...hasWork.slice(0, starts - turns.length).map(({ tenant }) => tenant));
  }
  return turns;
}
