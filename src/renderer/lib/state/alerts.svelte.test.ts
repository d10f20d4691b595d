import { expect, it } from 'vitest';
import type { Alert, AlertEvent } from '../../../core/alert.ts';
import { alertLanes } from './alert-timeline.ts';
import { AlertsState } from './alerts.svelte.ts';
import { TestBackend } from './test-backend.ts';

const alert = (id: string, changes: Partial<Alert> = {}): Alert => ({
  id,
  ruleId: 'lag',
  ruleTitle: 'Oldest ready job',
  connectionId: 'a',
  connectionName: 'a',
  scope: { kind: 'tenant', id, name: id },
  state: 'firing',
  severity: 'warning',
  unit: 'ms',
  value: 200_000,
  threshold: 180_000,
  sinceMs: 100,
  firedAtMs: 100,
  acknowledged: null,
  cause: null,
  error: null,
  ...changes,
});
const event = (seq: number, atMs: number, from: Alert['state'], to: Alert['state']): AlertEvent => ({
  seq,
  atMs,
  alertId: 'x',
  ruleId: 'lag',
  connectionId: 'a',
  scope: { kind: 'tenant', id: '3', name: 'mailflow' },
  from,
  to,
  severity: 'critical',
  value: null,
  summary: `mailflow ${to}`,
});

it('orders by state, severity and age; what is normal again is gone', () => {
  const backend = new TestBackend();
  const alerts = new AlertsState(backend);
  backend.snapshot('alerts', {
    alerts: [
      alert('pending', { state: 'pending', severity: 'critical' }),
      alert('young', { sinceMs: 300 }),
      alert('old', { sinceMs: 50 }),
      alert('critical', { severity: 'critical', sinceMs: 400 }),
    ],
    events: [],
  });
  expect(alerts.alerts.map(({ id }) => id)).toEqual(['critical', 'old', 'young', 'pending']);
  expect(alerts.firing).toHaveLength(3);
  expect(alerts.worst).toBe('critical');
  backend.delta('alerts', { changed: [alert('critical', { state: 'normal' })], events: [], notify: [] });
  expect(alerts.alerts.map(({ id }) => id)).toEqual(['old', 'young', 'pending']);
  expect(alerts.worst).toBe('warning');
});

it('tells who listens of events worth a notification, and only of those', () => {
  const backend = new TestBackend();
  const alerts = new AlertsState(backend);
  const told: number[] = [];
  alerts.onNotify = (events) => told.push(...events.map(({ seq }) => seq));
  const first = event(1, 10, 'normal', 'pending');
  const second = event(2, 20, 'pending', 'firing');
  backend.delta('alerts', { changed: [], events: [first], notify: [] });
  backend.delta('alerts', { changed: [], events: [second], notify: [second] });
  expect(told).toEqual([2]);
  expect(alerts.events).toHaveLength(2);
});

it('draws spans between changes of state, cut at the edges, open ones until now', () => {
  const events = [
    event(1, 50, 'normal', 'pending'),
    event(2, 150, 'pending', 'firing'),
    event(3, 300, 'firing', 'recovering'),
  ];
  const titles = new Map([['lag' as const, 'Oldest ready job']]);
  const [lane] = alertLanes(events, [], titles, 100, 400);
  expect(lane?.title).toBe('Oldest ready job');
  expect(lane?.spans.map(({ state, fromMs, toMs }) => [state, fromMs, toMs])).toEqual([
    ['pending', 100, 150],
    ['firing', 150, 300],
    ['recovering', 300, 400],
  ]);
});

it('draws nothing after an alert has become normal, and an alert older than all events from its start', () => {
  const over = [event(1, 150, 'pending', 'firing'), event(2, 200, 'firing', 'normal')];
  const [lane] = alertLanes(over, [alert('long', { sinceMs: 20 })], new Map(), 100, 400);
  expect(lane?.spans.map(({ alertId, fromMs, toMs }) => [alertId, fromMs, toMs])).toEqual([
    ['x', 150, 200],
    ['long', 100, 400],
  ]);
});
