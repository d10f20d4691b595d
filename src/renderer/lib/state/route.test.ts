import { describe, expect, it } from 'vitest';
import { parseRoute, pathOf } from './route.ts';
import type { Route } from './route.ts';

describe('routes', () => {
  const routes: Route[] = [
    { view: 'home' },
    { view: 'overview', connectionId: 'prod-postal' },
    { view: 'tenant', connectionId: 'prod-postal', tenantId: '3' },
    { view: 'tenant', connectionId: 'a', tenantId: 'queue/eu west?#100 %' },
    { view: 'tenant', connectionId: 'a', tenantId: 'running', section: 'running' },
    { view: 'tenant', connectionId: 'a', tenantId: '3', section: 'locks' },
    { view: 'logs', connectionId: 'prod-postal', query: {} },
    { view: 'logs', connectionId: 'prod-postal', query: { tenant: '3', text: 'a b&c' } },
    { view: 'tenant', connectionId: 'a', tenantId: '3', query: { from: '1', to: '2' } },
    { view: 'timing', connectionId: 'prod-postal', query: {} },
    { view: 'timing', connectionId: 'a', query: { last: '24h', tenants: '3,a%2Cb' } },
    { view: 'alerts' },
    { view: 'connections', connectionId: null },
    { view: 'connections', connectionId: 'prod-postal' },
    { view: 'engine', connectionId: 'this-computer', section: 'now' },
    { view: 'engine', connectionId: 'a b', section: 'dead' },
    { view: 'job', connectionId: 'this-computer', jobId: '4711' },
    { view: 'job', connectionId: 'a', jobId: 'mail/3#b 7?' },
    { view: 'database', connectionId: 'a', section: 'health' },
    { view: 'database', connectionId: 'a', section: 'indexes' },
    { view: 'settings', section: 'window' },
    { view: 'settings', section: 'jobs' },
  ];
  it.each(routes)('$view comes back from its own path', (route) => {
    expect(parseRoute(pathOf(route))).toEqual(route);
  });
  it('takes an unknown or mistyped path for what it can be', () => {
    expect(parseRoute('/nowhere/at/all')).toEqual({ view: 'home' });
    expect(parseRoute('/connection/x/unknown')).toEqual({ view: 'overview', connectionId: 'x' });
    expect(parseRoute('/connection/x/jobs')).toEqual({ view: 'overview', connectionId: 'x' });
    expect(parseRoute('/connection/x/tenant/3/unknown')).toEqual({
      view: 'tenant',
      connectionId: 'x',
      tenantId: '3',
    });
    expect(parseRoute('/connection/x/database/unknown')).toMatchObject({ section: 'health' });
    expect(parseRoute('/connection/x/engine/unknown')).toMatchObject({ view: 'engine', section: 'now' });
    expect(parseRoute('/connection/100%/tenant/%zz')).toEqual({
      view: 'tenant',
      connectionId: '100%',
      tenantId: '%zz',
    });
  });
});
