import { describe, expect, test } from 'vitest';
import { deepLinkIn, deepLinkPath } from './deep-link.ts';
import { FakeApp, FakeEvent } from './fake-electron.ts';
import { claimSingleInstance } from './single-instance.ts';

describe('deep links', () => {
  test.each([
    ['headway://connection/postal/tenant/3', '/connection/postal/tenant/3'],
    ['headway://connection/postal/logs?filter=dkim', '/connection/postal/logs?filter=dkim'],
    ['headway://alerts', '/alerts'],
    ['headway://app/connection/postal', '/connection/postal'],
    ['headway://app/', '/'],
    ['headway://connection/a/../../settings', '/connection/settings'],
    ['headway://evil/connection', null],
    ['headway://app/assets/main.js', null],
    ['headway://user@connection/postal', null],
    ['https://connection/postal', null],
    ['javascript:alert(1)', null],
    ['headway:', null],
    [`headway://connection/${'a'.repeat(3000)}`, null],
  ])('%s → %s', (link, path) => expect(deepLinkPath(link)).toBe(path));

  test('one is found among the switches of Chromium', () => {
    expect(deepLinkIn(['/opt/Headway/headway', '--allow-file-access', 'headway://alerts'])).toBe('/alerts');
    expect(deepLinkIn(['/opt/Headway/headway', '--flag'])).toBeNull();
  });
});

test('a second start brings the first to the front, at the link it was given', () => {
  const app = new FakeApp();
  const shown: (string | null)[] = [];
  expect(claimSingleInstance(app, (path) => shown.push(path))).toBe(true);
  app.emit('second-instance', {}, ['headway', 'headway://connection/postal/tenant/3']);
  app.emit('second-instance', {}, ['headway']);
  const event = new FakeEvent();
  app.emit('open-url', event, 'headway://alerts');
  expect(event.prevented).toBe(true);
  expect(shown).toEqual(['/connection/postal/tenant/3', null, '/alerts']);
  expect(app.quits).toBe(0);
});

test('the second one quits and listens to nothing', () => {
  const app = new FakeApp();
  app.isFirst = false;
  expect(claimSingleInstance(app, () => undefined)).toBe(false);
  expect(app.quits).toBe(1);
  expect(app.eventNames()).toEqual([]);
});
