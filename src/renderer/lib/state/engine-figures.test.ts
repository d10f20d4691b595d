import { describe, expect, it } from 'vitest';
import type { Hold } from '../../../contract/engine-report.ts';
import { holdOn, inFlight, kindRows, SILENT_MS, truthOf, workerRows } from './engine-figures.ts';
import { engineReport, engineView, kindReport, member, percentiles, worker } from './test-engine.ts';

const sync = { kind: 'sync', tenantId: 'edify' };
const hold = (changes: Partial<Hold>): Hold => ({
  tenantId: null,
  kind: null,
  mode: 'pause',
  by: 'anna',
  reason: '',
  sinceMs: 0,
  ...changes,
});

describe('the line of truth', () => {
  it('adds up what the engines of a store say', () => {
    const view = engineView({
      engines: [
        member(engineReport({ workers: [worker(0, sync), worker(1)], buffered: 3, finishedPerS: 1.5 })),
        member(engineReport({ owner: 'two', workers: [{ ...worker(0), state: 'restarting' }], buffered: 4 })),
      ],
    });
    expect(truthOf(view)).toMatchObject({
      active: 2,
      wanted: 4,
      busy: 1,
      buffered: 7,
      finishedPerS: 1.5,
      silent: 0,
    });
  });

  it('does not count a silent engine as working, but as wanted', () => {
    const view = engineView({
      engines: [
        member(engineReport({ balance: 0.9 })),
        member(engineReport({ owner: 'gone', workers: [worker(0, sync)], buffered: 9 }), SILENT_MS),
      ],
    });
    expect(truthOf(view)).toMatchObject({
      active: 2,
      wanted: 4,
      busy: 0,
      buffered: 0,
      silent: 1,
      balance: 0.9,
    });
    expect(workerRows(view).map(({ silent }) => silent)).toEqual([false, false, true]);
  });

  it('shows the fullest memory, pressure before bytes', () => {
    const memory = (rssBytes: number, pressure: 'normal' | 'recycle') => ({
      rssBytes,
      limitBytes: 10,
      pressure,
    });
    const view = engineView({
      engines: [
        member(engineReport({ memory: memory(7, 'normal') })),
        member(engineReport({ owner: 'two', memory: memory(6, 'recycle') })),
      ],
    });
    expect(truthOf(view).memory).toEqual(memory(6, 'recycle'));
  });

  it('has nothing to say of no engine', () => {
    expect(truthOf(engineView({ engines: [] }))).toMatchObject({
      active: 0,
      wanted: 0,
      memory: null,
      order: null,
    });
  });
});

describe('the kinds', () => {
  it('stand by name, with their hold, and sums over engines; percentiles are the highest', () => {
    const view = engineView({
      engines: [
        member(
          engineReport({
            kinds: [
              kindReport('sync', { running: 2, limit: 4, wait: percentiles({ count: 30, p95Ms: 10 }) }),
              kindReport('embed'),
            ],
          }),
        ),
        member(
          engineReport({
            owner: 'two',
            kinds: [
              kindReport('sync', { running: 1, limit: 5, wait: percentiles({ count: 40, p95Ms: 70 }) }),
            ],
          }),
        ),
      ],
      holds: [hold({ kind: 'sync' }), hold({ tenantId: 'edify', kind: 'embed' })],
    });
    const rows = kindRows(view);
    expect(
      rows.map(({ kind, running, limit, engines, hold: held }) => [kind, running, limit, engines, held?.by]),
    ).toEqual([
      ['embed', 0, null, 1, undefined],
      ['sync', 3, 9, 2, 'anna'],
    ]);
    expect(rows[1]?.wait).toMatchObject({ count: 70, p95Ms: 70, p50Ms: null });
  });
});

describe('holds', () => {
  const view = engineView({
    engines: [
      member(
        engineReport({
          workers: [
            worker(0, sync),
            worker(1, { kind: 'sync', tenantId: 'shop' }),
            worker(2, { kind: 'embed', tenantId: 'edify' }),
          ],
        }),
      ),
    ],
    holds: [hold({ tenantId: 'edify' }), hold({ kind: 'sync', by: 'ben' })],
  });

  it('are found by their very scope', () => {
    expect(holdOn(view.holds, { tenantId: 'edify', kind: null })?.by).toBe('anna');
    expect(holdOn(view.holds, { tenantId: null, kind: null })).toBeNull();
    expect(holdOn(view.holds, { tenantId: 'edify', kind: 'sync' })).toBeNull();
  });

  it.each([
    [{ tenantId: 'edify', kind: null }, 2],
    [{ tenantId: null, kind: 'sync' }, 2],
    [{ tenantId: 'edify', kind: 'sync' }, 1],
    [{ tenantId: null, kind: null }, 3],
    [{ tenantId: 'crm', kind: null }, 0],
  ])('of %o have %i jobs in flight', (scope, count) => {
    expect(inFlight(view, scope)).toBe(count);
  });
});
