import { describe, expect, it } from 'vitest';
import { columnsFor, sorted, stagesIn, timingCsv, type TenantTimes } from './timing-table.ts';

const stage = (name: string, p95Ms: number | null) => ({
  stage: name,
  count: p95Ms === null ? 3 : 40,
  p50Ms: p95Ms === null ? null : p95Ms / 2,
  p95Ms,
  p99Ms: p95Ms,
  maxMs: 900,
  rawMs: p95Ms === null ? [1, 2, 900] : null,
});
const tenant = (tenantId: string, deliver: number | null, failed = 0): TenantTimes => ({
  tenantId,
  finished: 40,
  failed,
  stages: [stage('wait', 5), stage('deliver', deliver), stage('total', 300)],
  against: null,
});

describe('the table of a timing analysis', () => {
  const tenants = [tenant('a', 200, 4), tenant('b', null), tenant('c', 700)];
  const columns = columnsFor(stagesIn(tenants), null, 'p95Ms');

  it('has a column a stage, or one a figure', () => {
    expect(columns.map(({ label }) => label)).toEqual(['Finished', 'Errors', 'wait', 'deliver', 'run']);
    expect(columnsFor(['deliver'], 'deliver', 'p95Ms').map(({ label }) => label)).toEqual([
      ...['Finished', 'Errors', 'p50', 'p95', 'p99', 'max'],
    ]);
  });

  it('sorts by any column, what is not known last', () => {
    const by = (key: string, down: boolean): string[] =>
      sorted(
        tenants,
        columns.find((column) => column.key === key),
        down,
      ).map(({ tenantId }) => tenantId);
    expect(by('deliver p95Ms', true)).toEqual(['c', 'a', 'b']);
    expect(by('deliver p95Ms', false)).toEqual(['a', 'c', 'b']);
    expect(by('errors', true)).toEqual(['a', 'b', 'c']);
  });

  it('is copied as CSV that stays what it is', () => {
    const lines = timingCsv(
      [{ ...tenant('=1+1', 1 / 3), against: tenant('', 9) }],
      (id) => `say "${id}", twice`,
    )
      .trimEnd()
      .split('\r\n');
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^tenant_id,tenant,stage,finished,.*,before_max_ms$/);
    expect(lines[2]).toBe(
      `'=1+1,"say ""=1+1"", twice",deliver,40,0,40,0.166667,0.333333,0.333333,900,40,0,40,4.5,9,9,900`,
    );
  });
});
