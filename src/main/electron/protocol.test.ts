import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { windowProtocol } from './protocol.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'headway-protocol-'));
  await mkdir(join(root, 'window', 'assets'), { recursive: true });
  await writeFile(join(root, 'window', 'index.html'), 'the window');
  await writeFile(join(root, 'window', 'assets', 'a.js'), 'script');
  await writeFile(join(root, 'secret.txt'), 'secret');
});
afterAll(() => rm(root, { recursive: true, force: true }));

const get = (url: string, method = 'GET') =>
  windowProtocol(join(root, 'window'))(new Request(url, { method }));

test('a view and a file are served with the strict policy', async () => {
  const page = await get('headway://app/connection/postal/tenant/3');
  expect(await page.text()).toBe('the window');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  const script = await get('headway://app/assets/a.js');
  expect(await script.text()).toBe('script');
  expect(script.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
});

test.each([
  'headway://app/assets/%2e%2e/%2e%2e/secret.txt',
  'headway://app/assets/..%2f..%2fsecret.txt',
  'headway://app/../secret.txt',
  'headway://other/assets/a.js',
  'headway://app/assets/none.js',
])('%s is not there', async (url) => {
  const answer = await get(url);
  expect(answer.status).toBe(404);
  expect(await answer.text()).not.toContain('secret');
});

test('nothing but reading', async () => expect((await get('headway://app/', 'POST')).status).toBe(404));
