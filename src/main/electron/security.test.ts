import { describe, expect, test } from 'vitest';
import { FakeApp, FakeContents, FakeEvent, FakeSession } from './fake-electron.ts';
import { isOwnFrame, isSafeExternal, lockNavigation, lockPermissions, ownPages } from './security.ts';

const pages = ownPages(undefined);

describe('which pages are ours', () => {
  test.each([
    ['headway://app/', true],
    ['headway://app/connection/a?x=1#y', true],
    ['headway://evil/', false],
    ['headway://user@app/', false],
    ['https://app/', false],
    ['http://localhost:5173/', false],
    ['file:///etc/passwd', false],
    ['data:text/html,hi', false],
    ['about:blank', false],
    ['not a url', false],
    ['', false],
  ])('%s: %s', (url, own) => expect(pages.isOwn(url)).toBe(own));

  test('in development the dev server too, at its port only', () => {
    const development = ownPages('http://localhost:5173');
    expect(development.isOwn('http://localhost:5173/alerts')).toBe(true);
    expect(development.isOwn('http://localhost:5174/')).toBe(false);
    expect(development.isOwn('https://localhost:5173/')).toBe(false);
  });
});

test.each([
  ['https://docs.postalserver.io/', true],
  ['https://example.com:8443/a?b#c', true],
  ['http://example.com/', false],
  ['https://user:password@example.com/', false],
  ['https://trusted.example@evil.example/', false],
  ['file:///usr/bin/xterm', false],
  ['smb://host/share', false],
  ['javascript:alert(1)', false],
  ['ms-msdt:/id', false],
  ['headway://app/', false],
  [`https://example.com/${'a'.repeat(3000)}`, false],
  ['//example.com', false],
])('link %s may be opened outside: %s', (url, safe) => expect(isSafeExternal(url)).toBe(safe));

test('pages stay on our own; windows are never opened, safe links go to the browser', () => {
  const app = new FakeApp();
  const opened: string[] = [];
  lockNavigation(app, pages, (url) => opened.push(url));
  const contents = new FakeContents();
  app.emit('web-contents-created', {}, contents);
  for (const event of ['will-navigate', 'will-redirect', 'will-frame-navigate'] as const) {
    expect(contents.navigate(event, 'headway://app/alerts')).toBe(true);
    expect(contents.navigate(event, 'https://example.com/')).toBe(false);
  }
  expect(contents.openWindow('https://example.com/')).toBe('deny');
  expect(contents.openWindow('headway://app/alerts')).toBe('deny');
  expect(contents.openWindow('file:///etc/passwd')).toBe('deny');
  expect(opened).toEqual(['https://example.com/']);
  const attach = new FakeEvent();
  contents.emit('will-attach-webview', attach);
  expect(attach.prevented).toBe(true);
});

test('our pages may notify and copy; nothing else is granted, and to nobody else', () => {
  const session = new FakeSession();
  lockPermissions(session, pages);
  const yes = { asked: true, checked: true };
  const no = { asked: false, checked: false };
  expect(session.grants('notifications', 'headway://app/')).toEqual(yes);
  expect(session.grants('clipboard-sanitized-write', 'headway://app/')).toEqual(yes);
  for (const permission of [
    'media',
    'geolocation',
    'clipboard-read',
    'openExternal',
    'usb',
    'fullscreen',
  ] as const) {
    expect(session.grants(permission, 'headway://app/')).toEqual(no);
  }
  expect(session.grants('notifications', 'https://example.com/')).toEqual(no);
  expect(session.grantsDevice()).toBe(false);
});

test('only the window itself is listened to, not a frame in it', () => {
  expect(isOwnFrame({ url: 'headway://app/', parent: null }, pages)).toBe(true);
  expect(isOwnFrame({ url: 'headway://app/', parent: {} }, pages)).toBe(false);
  expect(isOwnFrame({ url: 'https://example.com/', parent: null }, pages)).toBe(false);
});
