import { describe, expect, it } from 'vitest';
import { behind, type QueueHead } from './behind.ts';
import { estimate, exact } from './count.ts';
import { seededRandom } from './seeded-random.ts';

function head(
  tenantId: string,
  readyKeys: number[],
  changes: Partial<QueueHead<number>> = {},
): QueueHead<number> {
  return { tenantId, readyKeys, unseenAfter: null, oldestKey: readyKeys[0] ?? null, whole: null, ...changes };
}

describe('behind', () => {
  it('is nothing for a tenant without a ready job', () => {
    expect(behind([head('3', [])], '3')).toBeNull();
    expect(behind([head('3', [7])], '12')).toBeNull();
  });

  it('counts nobody in front of the first', () => {
    expect(behind([head('3', [7]), head('12', [8, 9])], '3')).toEqual({ ahead: exact(0), tenants: [] });
  });

  it('counts the burst in front and names its owner first', () => {
    const burst = Array.from({ length: 97 }, (_, i) => 100 + i);
    expect(behind([head('3', [500]), head('12', burst), head('17', [90, 91, 92, 600])], '3')).toEqual({
      ahead: exact(100),
      tenants: [
        { tenantId: '12', share: 0.97 },
        { tenantId: '17', share: 0.03 },
      ],
    });
  });

  it('is bounded when a head that was cut off lies wholly in front', () => {
    const heads = [head('3', [500]), head('12', [100, 101], { unseenAfter: 101 })];
    expect(behind(heads, '3')?.ahead).toEqual({ value: 2, kind: 'at-least' });
    // The read went on beyond the tenant's job: whatever was not seen is behind it too.
    expect(behind([head('3', [500]), head('12', [100], { unseenAfter: 501 })], '3')?.ahead).toEqual(exact(1));
  });

  it('takes the whole count of a tenant whose last job is still in front', () => {
    const cut = (lastKey: number) =>
      head('12', [100, 101], { unseenAfter: 101, whole: { lastKey, ready: estimate(9_000) } });
    expect(behind([head('3', [500]), cut(499)], '3')?.ahead).toEqual(estimate(9_000));
    expect(behind([head('3', [500]), cut(501)], '3')?.ahead).toEqual({ value: 2, kind: 'at-least' });
  });

  it('counts its own younger jobs that have lower keys', () => {
    const retried = head('3', [40, 700], { oldestKey: 700 });
    expect(behind([retried], '3')).toEqual({ ahead: exact(1), tenants: [{ tenantId: '3', share: 1 }] });
  });

  it('names three owners at most', () => {
    const heads = [head('3', [99]), ...['a', 'b', 'c', 'd'].map((id, i) => head(id, [i]))];
    expect(behind(heads, '3')?.tenants).toHaveLength(3);
  });

  it('is the definition counted over all rows, or a bound below it', () => {
    const random = seededRandom(9_812);
    for (let round = 0; round < 300; round++) {
      const jobs = Array.from({ length: 200 }, (_, key) => ({
        key,
        tenant: `t${Math.floor(random() ** 3 * 6)}`,
      }));
      const limit = 1 + Math.floor(random() * 60);
      const heads = [...new Set(jobs.map((job) => job.tenant))].map((tenant) => {
        const keys = jobs.filter((job) => job.tenant === tenant).map((job) => job.key);
        const seen = keys.slice(0, limit);
        const oldestKey = seen[Math.floor(random() * seen.length)] ?? null;
        return head(tenant, seen, {
          unseenAfter: keys.length > limit ? (seen.at(-1) ?? null) : null,
          oldestKey,
        });
      });
      for (const { tenantId, oldestKey } of heads) {
        const truth = jobs.filter((job) => job.key < (oldestKey ?? 0)).length;
        const ahead = behind(heads, tenantId)?.ahead;
        if (ahead?.kind === 'exact') expect(ahead.value).toBe(truth);
        else expect(ahead?.value).toBeLessThanOrEqual(truth);
      }
    }
  });
});
