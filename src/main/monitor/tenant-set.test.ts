import { describe, expect, it } from 'vitest';
import { atLeast, exact } from '../../core/count.ts';
import type { TimingRecord } from '../../core/timing.ts';
import { lateTenant, sampleAt, tenantSample } from './plain-source.ts';
import { TenantSet } from './tenant-set.ts';

const START = 1_700_000_000_000;
const options = { windowMs: 60_000, timingWindowMs: 900_000, sparkBucketMs: 60_000 };
const info = (id: string, name = `server ${id}`) => ({ id, name, detail: '' });
const timing = (tenantId: string, totalMs: number): TimingRecord => ({
  tenantId,
  jobId: null,
  kind: null,
  startedAtMs: null,
  totalMs,
  stages: { load: totalMs },
  status: 'success',
  error: null,
  sizeBytes: null,
});

function rowsAt(tenants: TenantSet, nowMs: number) {
  return tenants.rows({
    nowMs,
    databaseNowMs: nowMs,
    allowedLagMs: 180_000,
    warningLagMs: 180_000,
    criticalLagMs: 300_000,
    claimOrder: 'by id',
    unreachableMs: null,
    workers: { silentMs: 0, lastSeenMs: 0, patienceMs: 60_000, utilisation: null },
  });
}

describe('TenantSet', () => {
  it('shows who is named before anything is measured, without numbers', () => {
    const tenants = new TenantSet(options);
    tenants.name([info('1'), info('2')]);
    const rows = rowsAt(tenants, START);
    expect(rows.map(({ id, status, lagMs }) => [id, status, lagMs])).toEqual([
      ['1', 'no-data', null],
      ['2', 'no-data', null],
    ]);
    expect(rows[0]).toMatchObject({ ready: atLeast(0), running: atLeast(0), arrivalsPerS: null });
    expect(tenants.timeToEmpty()).toEqual({ kind: 'unknown' });
  });

  it('takes a tenant without rows to have nothing queued, and one with rows but no name by its id', () => {
    const tenants = new TenantSet(options);
    tenants.name([info('1')]);
    tenants.add(sampleAt(START, [lateTenant('7', 5_000, START)]));
    expect(rowsAt(tenants, START).map(({ id, name, lagMs, ready }) => ({ id, name, lagMs, ready }))).toEqual([
      { id: '1', name: 'server 1', lagMs: 0, ready: exact(0) },
      { id: '7', name: '7', lagMs: 5_000, ready: exact(1) },
    ]);
  });

  it('follows the names: new words for who stays, and no row for who is gone', () => {
    const tenants = new TenantSet(options);
    tenants.name([info('1'), info('2')]);
    tenants.add(sampleAt(START, [lateTenant('1', 9_000, START)]));
    tenants.name([info('1', 'mailflow'), info('3')]);
    tenants.add(sampleAt(START + 2_000, [lateTenant('1', 11_000, START + 2_000)]));
    const rows = rowsAt(tenants, START + 2_000);
    expect(rows.map(({ id, name }) => [id, name])).toEqual([
      ['1', 'mailflow'],
      ['3', 'server 3'],
    ]);
    expect(rows[0]?.lagMs).toBe(11_000);
    expect(tenants.get('2')).toBeUndefined();
  });

  it('keeps what the log says of a tenant before it has a name', () => {
    const tenants = new TenantSet(options);
    for (const totalMs of [10, 20]) tenants.addTiming(timing('3', totalMs), START);
    tenants.addTiming(timing('99', 5), START);
    expect(rowsAt(tenants, START)).toEqual([]);
    tenants.name([info('3', 'mailflow')]);
    tenants.addTiming(timing('3', 30), START);
    expect(tenants.get('3')?.info.name).toBe('mailflow');
    const total = tenants
      .get('3')
      ?.stages(START)
      .find(({ stage }) => stage === 'total');
    expect(total).toMatchObject({ count: 3, rawMs: [10, 20, 30] });
    // Who is not among the names is no tenant, and is not remembered for good.
    expect(rowsAt(tenants, START).map(({ id }) => id)).toEqual(['3']);
    tenants.name([info('3'), info('99')]);
    expect(tenants.get('99')?.stages(START)).toEqual([]);
  });

  it('remembers a bounded number of ids that only a log names', () => {
    const tenants = new TenantSet(options);
    for (let id = 0; id < 1_500; id++) tenants.addTiming(timing(String(id), 1), START);
    tenants.name(Array.from({ length: 1_500 }, (_, id) => info(String(id))));
    const seen = Array.from({ length: 1_500 }, (_, id) => tenants.get(String(id))?.stages(START).length ?? 0);
    expect(seen.filter((stages) => stages > 0)).toHaveLength(1_000);
  });

  it('names the neighbours a tenant is behind', () => {
    const tenants = new TenantSet(options);
    tenants.name([info('3', 'mailflow'), info('17', 'newsletter')]);
    const behind = { ahead: exact(50), tenants: [{ tenantId: '17', share: 1 }] };
    tenants.add(
      sampleAt(START, [
        lateTenant('3', 200_000, START, { behind }),
        tenantSample('17', { ready: exact(50) }),
      ]),
    );
    expect(rowsAt(tenants, START)[0]?.behind).toEqual({
      ahead: exact(50),
      tenants: [{ id: '17', name: 'newsletter', share: 1 }],
    });
  });

  it('warms up until the youngest window is full', () => {
    const tenants = new TenantSet(options);
    tenants.name([info('1')]);
    for (let second = 0; second <= 60; second += 2)
      tenants.add(sampleAt(START + second * 1_000, [tenantSample('1')]));
    rowsAt(tenants, START + 60_000);
    expect(tenants.warmingUpMs()).toBe(0);
    tenants.name([info('1'), info('2')]);
    tenants.add(sampleAt(START + 62_000, [tenantSample('1'), tenantSample('2')]));
    rowsAt(tenants, START + 62_000);
    expect(tenants.warmingUpMs()).toBe(60_000);
  });
});
