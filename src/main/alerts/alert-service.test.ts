import { beforeEach, describe, expect, it } from 'vitest';
import type { Delta } from '../../contract/api.ts';
import { shippedRules } from '../../core/alert-rules.ts';
import type { Alert, AlertEvent, AlertRule, Metric, Severity } from '../../core/alert.ts';
import { AlertService, type AlertKeeper, type Observation } from './alert-service.ts';

/** Remembers as the history does: the newest state of each alert, normal ones not at all, and every event. */
class Memory implements AlertKeeper {
  readonly alerts = new Map<string, Alert>();
  readonly events: AlertEvent[] = [];
  saveAlerts(alerts: Alert[]) {
    for (const alert of alerts) {
      if (alert.state === 'normal') this.alerts.delete(alert.id);
      else this.alerts.set(alert.id, alert);
    }
  }
  addAlertEvents(events: AlertEvent[]) {
    this.events.push(...events);
  }
  get kept() {
    return { alerts: [...this.alerts.values()], events: this.events };
  }
}

const mail = { id: 'mail', name: 'Mail' };
const MINUTE = 60_000;
/** A lag alert fires after 10 s over 180 s (warning) or 300 s (critical), and ends after 30 s under it. */
const rules = shippedRules();
const observe = (tenant: string, value: number | null, metric: Metric = 'lag'): Observation => ({
  metric,
  scope: { kind: 'tenant', id: tenant, name: tenant },
  value,
  cause: value !== null && value > 0 ? 'behind edify' : null,
});
const unreachable = (value: number): Observation => ({
  metric: 'unreachable',
  scope: { kind: 'connection', ...mail },
  value,
  cause: 'connect ECONNREFUSED',
});

let memory: Memory;
let service: AlertService;
let deltas: Delta<'alerts'>[];
let notified: string[];
let worst: [Severity | null, number][];
let nowMs: number;
function start() {
  service = new AlertService(memory, memory.kept);
  deltas = [];
  notified = [];
  worst = [];
  service.follow((delta) => deltas.push(delta), new AbortController().signal);
  service.onNotify((event) => notified.push(`${event.to}: ${event.summary}`));
  service.onWorst((severity, firing) => worst.push([severity, firing]));
}
beforeEach(() => {
  memory = new Memory();
  nowMs = 0;
  start();
});

/** One observation a second for a while. */
function hold(
  seconds: number,
  observations: Observation[],
  options: { inhibited?: boolean; rules?: AlertRule[] } = {},
) {
  for (let second = 0; second < seconds; second++, nowMs += 1000) {
    service.evaluate(mail, options.rules ?? rules, observations, nowMs, options.inhibited ?? false);
  }
}
const path = () => memory.events.map(({ from, to }) => `${from} → ${to}`);
const states = () => service.snapshot().alerts.map(({ id, state }) => `${id} ${state}`);

describe('AlertService', () => {
  it('leads an alert from pending to firing, recovering and back to normal, telling of it twice', () => {
    hold(5, [observe('mailflow', 0)]);
    expect(deltas).toEqual([]);
    hold(15, [observe('mailflow', 200_000)]);
    expect(service.standing('mail')).toEqual({ firing: 1, worst: 'warning' });
    hold(40, [observe('mailflow', 0)]);
    expect(path()).toEqual([
      'normal → pending',
      'pending → firing',
      'firing → recovering',
      'recovering → normal',
    ]);
    expect(notified).toEqual([
      'firing: mailflow is 3m 20s late (threshold 3m 00s): behind edify',
      'normal: mailflow is no longer late',
    ]);
    expect(worst).toEqual([
      [null, 0],
      ['warning', 1],
      [null, 0],
    ]);
    expect(service.snapshot().alerts).toEqual([]);
    expect(memory.alerts.size).toBe(0);
    expect(deltas.flatMap(({ events }) => events.map(({ seq }) => seq))).toEqual([1, 2, 3, 4]);
  });

  it('tells of a graver level, and gives the alert as a window shows it', () => {
    hold(15, [observe('mailflow', 200_000)]);
    hold(15, [observe('mailflow', 400_000)]);
    expect(notified).toHaveLength(2);
    expect(service.snapshot().alerts).toEqual([
      {
        id: 'mail/lag/tenant/mailflow',
        ruleId: 'lag',
        ruleTitle: 'Lag of the oldest ready job',
        connectionId: 'mail',
        connectionName: 'Mail',
        scope: { kind: 'tenant', id: 'mailflow', name: 'mailflow' },
        state: 'firing',
        severity: 'critical',
        unit: 'ms',
        value: 400_000,
        threshold: 300_000,
        sinceMs: 10_000,
        firedAtMs: 10_000,
        acknowledged: null,
        cause: 'behind edify',
        error: null,
      },
    ]);
  });

  it('shows the value of a standing alert anew every few seconds, without keeping it', () => {
    hold(15, [observe('mailflow', 200_000)]);
    const before = deltas.length;
    for (let lag = 200_000; lag < 230_000; lag += 1000) hold(1, [observe('mailflow', lag)]);
    const shown = deltas.slice(before);
    expect(shown.length).toBe(6);
    expect(shown.at(-1)?.changed[0]?.value).toBeGreaterThan(220_000);
    expect(shown.flatMap(({ events, notify }) => [...events, ...notify])).toEqual([]);
    expect(memory.alerts.get('mail/lag/tenant/mailflow')?.value).toBe(200_000);
  });

  it('goes on after a restart in the middle of firing, tells nobody again, but that it is over', () => {
    hold(15, [observe('mailflow', 200_000)]);
    service.acknowledge('mail/lag/tenant/mailflow', 'ana', nowMs);
    const before = service.snapshot();
    start();
    expect(service.snapshot()).toEqual(before);
    expect(service.standing('mail')).toEqual({ firing: 1, worst: 'warning' });
    expect(worst).toEqual([['warning', 1]]);
    nowMs += 5 * MINUTE;
    hold(20, [observe('mailflow', 250_000)]);
    expect(notified).toEqual([]);
    expect(service.snapshot().alerts[0]).toMatchObject({
      state: 'firing',
      firedAtMs: 10_000,
      acknowledged: { by: 'ana', atMs: 15_000 },
    });
    hold(40, [observe('mailflow', 0)]);
    expect(notified).toEqual(['normal: mailflow is no longer late']);
    expect(memory.events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  });

  it('does not end restored alerts while the connection has not been reached yet', () => {
    hold(15, [observe('mailflow', 200_000)]);
    start();
    hold(120, [unreachable(10_000)], { inhibited: true });
    expect(states()).toEqual(['mail/lag/tenant/mailflow firing']);
  });

  it('silences what an unreachable connection explains, but not that', () => {
    hold(15, [observe('mailflow', 200_000)]);
    hold(130, [unreachable(40_000), observe('mailflow', null), observe('edify', null)], { inhibited: true });
    expect(notified.slice(1)).toEqual([
      'firing: Mail is unreachable for 40 s (threshold 30 s): connect ECONNREFUSED',
    ]);
    // The one that fired has no data; the one that was normal is not mentioned.
    expect(states()).toEqual(['mail/lag/tenant/mailflow no-data', 'mail/unreachable/connection/mail firing']);
    hold(40, [unreachable(0), observe('mailflow', 0), observe('edify', 0)]);
    expect(notified.slice(2)).toEqual([
      'normal: Mail is reachable again',
      'normal: mailflow is no longer late',
    ]);
  });

  it('says no data for a value that was there before, and nothing for one that never was', () => {
    hold(5, [observe('mailflow', null), observe('mailflow', 3, 'depth')]);
    expect(states()).toEqual([]);
    hold(5, [observe('mailflow', null), observe('mailflow', null, 'depth')]);
    expect(states()).toEqual(['mail/depth/tenant/mailflow no-data']);
    expect(notified).toEqual([]);
    hold(5, [observe('mailflow', 3, 'depth')]);
    expect(states()).toEqual([]);
  });

  it('says which rule could not be evaluated, and why', () => {
    hold(1, [{ ...observe('mailflow', null), error: 'unknown column' }]);
    expect(service.snapshot().alerts[0]).toMatchObject({ state: 'error', error: 'unknown column' });
    expect(memory.events[0]?.summary).toContain('unknown column');
  });

  it('ends the alerts of a tenant that is gone for a minute, not of one that misses from a few polls', () => {
    hold(15, [observe('mailflow', 200_000), observe('edify', 0)]);
    hold(30, [observe('edify', 0)]);
    hold(10, [observe('mailflow', 200_000), observe('edify', 0)]);
    expect(path()).toEqual(['normal → pending', 'pending → firing']);
    hold(62, [observe('edify', 0)]);
    expect(path().at(-1)).toBe('firing → normal');
    expect(notified.at(-1)).toBe('normal: mailflow is gone; its alert "Lag of the oldest ready job" ends');
    expect(states()).toEqual([]);
  });

  it('keeps an episode open when its metric is not measured any more, and drops what never fired', () => {
    const errors = (value: number) => observe('mailflow', value, 'errorRate');
    hold(90, [observe('mailflow', 0), errors(0.5)]);
    hold(5, [observe('mailflow', 0), observe('edify', 0), observe('edify', 0.5, 'errorRate')]);
    hold(5, [observe('mailflow', 0), observe('edify', 0)]);
    expect(states()).toEqual(['mail/errorRate/tenant/mailflow no-data']);
    expect(service.standing('mail').firing).toBe(0);
  });

  it('ends the alerts of a rule that is switched off, telling nobody', () => {
    hold(15, [observe('mailflow', 200_000)]);
    const off = rules.map((rule) => (rule.id === 'lag' ? { ...rule, enabled: false } : rule));
    hold(2, [observe('mailflow', 200_000)], { rules: off });
    expect(states()).toEqual([]);
    expect(notified).toHaveLength(1);
  });

  it('ends the alerts of a connection that is removed, telling nobody', () => {
    hold(15, [observe('mailflow', 200_000)]);
    service.removeConnection('mail', nowMs);
    expect(states()).toEqual([]);
    expect(deltas.at(-1)?.changed[0]?.state).toBe('normal');
    expect([notified.length, memory.alerts.size]).toEqual([1, 0]);
    expect(worst.at(-1)).toEqual([null, 0]);
    expect(service.connectionIds).toEqual([]);
  });

  it('acknowledges what fires and nothing else', () => {
    hold(5, [observe('mailflow', 200_000)]);
    const acknowledge = () => service.acknowledge('mail/lag/tenant/mailflow', 'ana', nowMs);
    expect(acknowledge).toThrow(expect.objectContaining({ code: 'not-found' }) as Error);
    hold(10, [observe('mailflow', 200_000)]);
    acknowledge();
    expect(deltas.at(-1)).toMatchObject({
      changed: [{ acknowledged: { by: 'ana' } }],
      events: [],
      notify: [],
    });
    hold(20, [observe('mailflow', 400_000)]);
    expect(notified).toHaveLength(1);
    expect(() => service.acknowledge('other', 'ana', nowMs)).toThrow();
  });

  it('stops telling a follower that left, and keeps the newest 500 events', () => {
    const left = new AbortController();
    const heard: unknown[] = [];
    service.follow((delta) => heard.push(delta), left.signal);
    left.abort();
    for (let n = 0; n < 300; n++) {
      hold(1, [observe('mailflow', 200_000)]);
      hold(1, [observe('mailflow', 0)]);
    }
    expect(heard).toEqual([]);
    const { events } = service.snapshot();
    expect([events.length, events.at(-1)?.seq]).toEqual([500, 600]);
  });
});
