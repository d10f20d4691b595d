import { expect, test } from 'vitest';
import type { AlertEvent } from '../../core/alert.ts';
import { FakeNotification } from './fake-electron.ts';
import { DesktopNotifications } from './notifications.ts';

function make() {
  const made: FakeNotification[] = [];
  const shown: string[] = [];
  let due: (() => void)[] = [];
  const notifications = new DesktopNotifications({
    create: (options) => {
      const notification = new FakeNotification(options);
      made.push(notification);
      return notification;
    },
    after: (_delayMs, run) => due.push(run),
    show: (path) => shown.push(path),
  });
  const pass = () => {
    const now = due;
    due = [];
    for (const run of now) run();
  };
  return { notifications, made, shown, pass };
}

const fired = (id: string, change: Partial<AlertEvent> = {}): AlertEvent => ({
  seq: 1,
  atMs: 0,
  alertId: `lag/${id}`,
  ruleId: 'lag',
  connectionId: 'postal 1',
  scope: { kind: 'tenant', id, name: `server ${id}` },
  from: 'pending',
  to: 'firing',
  severity: 'critical',
  value: 312_000,
  summary: 'lag 5m 12s, over 5m 00s',
  ...change,
});

test('a click opens the tenant that the alert is about', () => {
  const { notifications, made, shown, pass } = make();
  notifications.notify(fired('3/a'));
  pass();
  expect(made.map(({ options }) => [options.title, options.body, options.urgency])).toEqual([
    ['Critical: server 3/a', 'lag 5m 12s, over 5m 00s', 'critical'],
  ]);
  expect(made[0]?.shown).toBe(true);
  made[0]?.emit('click');
  expect(shown).toEqual(['/connection/postal%201/tenant/3%2Fa']);
});

test('forty alerts at once are one notification, which opens the alerts', () => {
  const { notifications, made, shown, pass } = make();
  for (let id = 0; id < 40; id += 1) notifications.notify(fired(String(id)));
  pass();
  expect(made.map(({ options }) => options.title)).toEqual(['40 alerts fire']);
  made[0]?.emit('click');
  expect(shown).toEqual(['/alerts']);
  notifications.notify(fired('41'));
  pass();
  expect(made).toHaveLength(2);
});

test('an alert that is over says so, quietly', () => {
  const { notifications, made, pass } = make();
  notifications.notify(fired('3', { from: 'recovering', to: 'normal' }));
  pass();
  expect(made[0]?.options).toMatchObject({ title: 'Over: server 3', silent: true, urgency: 'normal' });
});

test('the number kept is bounded: the oldest is closed', () => {
  const { notifications, made, pass } = make();
  for (let id = 0; id < 25; id += 1) {
    notifications.notify(fired(String(id)));
    pass();
  }
  expect(made.filter(({ closed }) => closed)).toHaveLength(5);
  expect(made[24]?.closed).toBe(false);
});
