import { describe, expect, it } from 'vitest';
import { tenantRow } from '../../../contract/plain-rows.ts';
import { atLeast, exact } from '../../../core/count.ts';
import { statusText } from './status-text.ts';

describe('statusText', () => {
  it('says what nobody works on, also of a tenant that is idle', () => {
    expect(statusText(tenantRow({ status: 'idle', dead: exact(2), blocked: exact(8) }))).toBe(
      'idle, 2 dead, 8 blocked',
    );
    expect(statusText(tenantRow({ dead: atLeast(200), blocked: null }))).toBe('ok, 200+ dead');
    expect(statusText(tenantRow({ dead: exact(0), blocked: exact(0) }))).toBe('ok');
  });

  it('names who paused it and why', () => {
    const paused = { by: 'anna', sinceMs: null, reason: 'supplier is down' };
    expect(statusText(tenantRow({ status: 'paused', paused }))).toBe('paused by anna: supplier is down');
  });
});
