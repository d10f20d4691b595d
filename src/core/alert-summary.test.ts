import { describe, expect, it } from 'vitest';
import { alertStateSchema } from './alert.ts';
import { shippedRules } from './alert-rules.ts';
import { alertSummary, type SummaryFacts } from './alert-summary.ts';

function summary(id: string, facts: Partial<SummaryFacts> = {}): string {
  const rule = shippedRules().find((candidate) => candidate.id === id);
  if (rule === undefined) throw new Error(`no rule ${id}`);
  return alertSummary({
    rule,
    name: 'mailflow',
    state: 'firing',
    value: null,
    threshold: null,
    cause: null,
    error: null,
    ...facts,
  });
}

describe('alertSummary', () => {
  it('says who is late, by how much, over which level and why', () => {
    expect(
      summary('lag', { value: 312_000, threshold: 180_000, cause: 'behind edify (97 % of 9,812)' }),
    ).toBe('mailflow is 5m 12s late (threshold 3m 00s): behind edify (97 % of 9,812)');
  });

  it('speaks in the unit of the rule', () => {
    expect(summary('depth', { value: 1_204, threshold: 500 })).toBe(
      'mailflow: queue depth is 1,204 (threshold 500)',
    );
    expect(summary('errorRate', { value: 0.234, threshold: 0.2 })).toBe(
      'mailflow: 23 % of finished attempts failed (threshold 20 %)',
    );
    expect(summary('stageP95', { value: 8_400, threshold: 5_000 })).toBe(
      'mailflow: p95 is 8.4 s (threshold 5.0 s)',
    );
    expect(summary('stalled', { value: 1, threshold: 0 })).toBe(
      'mailflow is stalled: jobs are ready and none is started',
    );
    expect(summary('workersSeen', { value: 372_000, threshold: 300_000 })).toBe(
      'mailflow: no worker seen for 6m 12s (threshold 5m 00s)',
    );
  });

  it('says when it is over, when nothing is known and when the rule fails', () => {
    expect(summary('lag', { state: 'normal' })).toBe('mailflow is no longer late');
    expect(summary('lag', { state: 'no-data' })).toBe(
      'mailflow: no data for the rule "Lag of the oldest ready job"',
    );
    expect(summary('lag', { state: 'error', error: 'SELECT denied' })).toBe(
      'mailflow: the rule "Lag of the oldest ready job" could not be evaluated: SELECT denied',
    );
  });

  it('names the scope for every rule and state, also when no value is known', () => {
    for (const rule of shippedRules()) {
      for (const state of alertStateSchema.options) {
        const text = summary(rule.id, { state });
        expect(text).toContain('mailflow');
        expect(text).not.toMatch(/null|undefined|NaN| {2}/);
      }
    }
  });
});
