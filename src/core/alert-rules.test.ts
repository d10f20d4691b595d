import { describe, expect, it } from 'vitest';
import { alertRuleSchema, metricSchema } from './alert.ts';
import { levelOf } from './alert-machine.ts';
import { allowedLagMs, changedRules, shippedRules, workerMemoryRatio } from './alert-rules.ts';

function rule(id: string, rules = shippedRules()) {
  const found = rules.find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`no rule ${id}`);
  return found;
}

describe('shippedRules', () => {
  it('has one valid rule for every metric', () => {
    expect(shippedRules().map((r) => r.id)).toEqual(metricSchema.options);
    for (const each of shippedRules()) expect(alertRuleSchema.parse(each)).toEqual(each);
  });

  it.each([
    ['lag', 180_000, null],
    ['lag', 180_001, 'warning'],
    ['lag', 300_001, 'critical'],
    ['depth', 101, 'warning'],
    ['depth', 501, 'critical'],
    ['errorRate', 0.11, 'warning'],
    ['errorRate', 0.21, 'critical'],
    ['kindFailureRate', 0.16, 'warning'],
    ['kindFailureRate', 0.31, 'critical'],
    ['stageP95', 2_001, 'warning'],
    ['stageP95', 5_001, 'critical'],
    ['workerMemory', 0.81, 'warning'],
    ['workerMemory', 0.91, 'critical'],
    ['runningFor', 20 * 60_000 + 1, 'warning'],
    ['runningFor', 30 * 60_000 + 1, 'critical'],
    ['successRate', 0.9, null],
    ['successRate', 0.89, 'critical'],
    ['deadSet', 1, null],
    ['deadSet', 2, 'warning'],
    ['staleLocks', 0, null],
    ['staleLocks', 1, 'warning'],
    ['stalled', 0, null],
    ['stalled', 1, 'critical'],
    ['stuck', 1, 'warning'],
    ['workersSeen', 300_000, null],
    ['workersSeen', 300_001, 'critical'],
    ['unreachable', 30_001, 'warning'],
    ['unreachable', 120_001, 'critical'],
    ['canary', 180_001, 'warning'],
    ['canary', 300_001, 'critical'],
  ])('%s at %d is %s', (id, value, severity) => expect(levelOf(value, rule(id))).toBe(severity));
});

describe('changedRules', () => {
  it('reads seconds, jobs and ratios, layer over layer', () => {
    const rules = changedRules(
      shippedRules(),
      {
        lag: { warning: 20, critical: 60, forSeconds: 2 },
        depth: { warning: 10 },
        errorRate: { critical: 0.5 },
      },
      { lag: { warning: 30, keepFiringForSeconds: 5 }, stuck: { enabled: false } },
    );
    expect(rule('lag', rules)).toMatchObject({
      warning: 30_000,
      critical: 60_000,
      forMs: 2_000,
      keepFiringForMs: 5_000,
    });
    expect(rule('depth', rules)).toMatchObject({ warning: 10, critical: 500 });
    expect(rule('errorRate', rules).critical).toBe(0.5);
    expect(rule('stuck', rules).enabled).toBe(false);
    expect(rule('canary', rules)).toEqual(rule('canary'));
  });

  it('takes levels away with null and switches severities of flags on and off', () => {
    const rules = changedRules(shippedRules(), {
      lag: { critical: null },
      stalled: { warning: 1, critical: null },
    });
    expect(levelOf(1e9, rule('lag', rules))).toBe('warning');
    expect(levelOf(1, rule('stalled', rules))).toBe('warning');
  });

  it('does not change what it was given', () => {
    const rules = shippedRules();
    changedRules(rules, { lag: { warning: 1 } });
    expect(rules).toEqual(shippedRules());
  });
});

describe('allowedLagMs', () => {
  it('is the first level of the lag rule', () => {
    expect(allowedLagMs(shippedRules())).toBe(180_000);
    expect(allowedLagMs(changedRules(shippedRules(), { lag: { warning: null } }))).toBe(300_000);
    expect(allowedLagMs(changedRules(shippedRules(), { lag: { warning: null, critical: null } }))).toBe(
      Infinity,
    );
  });
});

describe('workerMemoryRatio', () => {
  it('is the share of the limit, and over 1 GB always critical', () => {
    expect(workerMemoryRatio(4e8, 5e8)).toBe(0.8);
    expect(workerMemoryRatio(4e8, null)).toBeNull();
    expect(levelOf(workerMemoryRatio(1.1e9, 8e9) ?? 0, rule('workerMemory'))).toBe('critical');
    expect(workerMemoryRatio(2.4e9, 1.2e9)).toBe(2.4);
  });
});
