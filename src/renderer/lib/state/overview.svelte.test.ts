import { beforeEach, expect, it } from 'vitest';
import { exact } from '../../../core/count.ts';
import type { TenantRow } from '../../../contract/live.ts';
import { overviewHead, tenantRow } from '../../../contract/plain-rows.ts';
import { OverviewState } from './overview.svelte.ts';
import { Painter } from './painter.svelte.ts';
import { TestBackend } from './test-backend.ts';

let backend: TestBackend;
let overview: OverviewState;
let nowMs: number;
let waiting: (() => void) | null;

/** A frame late enough to paint in. */
function paint(): void {
  nowMs += 1_000;
  const callback = waiting;
  waiting = null;
  callback?.();
}
const late = (id: string, lagMs: number): TenantRow =>
  tenantRow({ id, name: `server ${id}`, lagMs, status: 'lagging', severity: 'warning' });
const shown = (): string[] => overview.rows.map(({ id }) => id);
const change = (...changed: (Partial<TenantRow> & { id: string })[]): void =>
  backend.delta('overview', { changed, removed: [] });

const head = overviewHead();

beforeEach(() => {
  backend = new TestBackend();
  nowMs = 0;
  waiting = null;
  const frames = {
    request: (callback: () => void) => {
      waiting = callback;
      return 1;
    },
    cancel: () => undefined,
    now: () => nowMs,
  };
  overview = new OverviewState(backend, new Painter(frames), 'a');
  backend.snapshot('overview', { head, rows: [late('1', 300_000), late('2', 200_000), late('3', 190_000)] });
  paint();
});

it('shows the worst first, and a row that did not change as the same object', () => {
  const before = overview.rows[1];
  change({ id: '3', lagMs: 400_000 });
  paint();
  expect(shown()).toEqual(['3', '1', '2']);
  expect(overview.rows[2]).toBe(before);
});

it('keeps the order under the pointer, changes values in place and says how many rows wait', () => {
  overview.hold('pointer');
  change({ id: '3', lagMs: 400_000 });
  paint();
  expect(shown()).toEqual(['1', '2', '3']);
  expect(overview.rows[2]?.lagMs).toBe(400_000);
  expect(overview.moved).toBe(1);
  overview.release('pointer');
  paint();
  expect(shown()).toEqual(['3', '1', '2']);
  expect(overview.moved).toBe(0);
});

it('stays frozen until the last hold is released', () => {
  overview.hold('pointer');
  overview.hold('overlay');
  overview.release('pointer');
  change({ id: '3', lagMs: 400_000 });
  paint();
  expect(shown()).toEqual(['1', '2', '3']);
  expect(overview.frozen).toBe(true);
});

it('keeps a tenant that vanished in its place while frozen', () => {
  overview.setCursor('2');
  backend.delta('overview', { changed: [], removed: ['1'] });
  paint();
  expect(shown()).toEqual(['1', '2', '3']);
  expect(overview.moved).toBe(1);
  overview.setCursor(null);
  paint();
  expect(shown()).toEqual(['2', '3']);
});

it('moves the waiting rows when asked to, and the cursor stays on its tenant', () => {
  overview.setCursor('3');
  change({ id: '3', lagMs: 400_000 });
  paint();
  overview.applyMoves();
  expect(shown()).toEqual(['3', '1', '2']);
  expect(overview.cursorIndex).toBe(0);
  expect(overview.moved).toBe(0);
});

it('filters at once, frozen or not, and counts all tenants by group all the same', () => {
  overview.hold('pointer');
  change(tenantRow({ id: '4', name: 'fine', ready: exact(3) }));
  paint();
  overview.setText('server 2');
  expect(shown()).toEqual(['2']);
  expect(overview.counts).toEqual({ late: 3, stalled: 0, ok: 1, 'no-data': 0 });
  overview.setText('');
  overview.toggleGroup('ok');
  expect(shown()).toEqual(['4']);
  overview.toggleGroup('ok');
  expect(shown()).toHaveLength(4);
});

it('moves the cursor from either end and stops at the last row', () => {
  overview.moveCursor(-1);
  expect(overview.cursor).toBe('3');
  overview.setCursor(null);
  overview.moveCursor(1);
  expect(overview.cursor).toBe('1');
  overview.moveCursor(10);
  expect(overview.cursor).toBe('3');
});

it('replaces everything by a new snapshot and lets go when disposed of', () => {
  backend.snapshot('overview', { head, rows: [late('9', 200_000)] });
  paint();
  expect(shown()).toEqual(['9']);
  overview[Symbol.dispose]();
  expect(backend.open).toEqual([]);
});
