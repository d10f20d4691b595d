import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readWindowFile } from './window-files.ts';

let root: string;
let directory: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'headway-window-'));
  directory = join(root, 'window');
  await mkdir(join(directory, 'assets'), { recursive: true });
  await mkdir(join(root, 'window-beside'));
  await writeFile(join(directory, 'index.html'), 'the window');
  await writeFile(join(directory, 'icon.svg'), '<svg/>');
  await writeFile(join(directory, 'assets', 'main-4f2a.js'), 'script');
  await writeFile(join(root, 'secret.txt'), 'secret');
  await writeFile(join(root, 'window-beside', 'secret.txt'), 'secret');
  await symlink(join(root, 'secret.txt'), join(directory, 'assets', 'linked.txt'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test.each([
  ['/', 'the window', 'text/html; charset=utf-8', false],
  ['/connection/postal-1/tenant/3.5', 'the window', 'text/html; charset=utf-8', false],
  ['/alerts', 'the window', 'text/html; charset=utf-8', false],
  ['/icon.svg', '<svg/>', 'image/svg+xml', false],
  ['/assets/main-4f2a.js', 'script', 'text/javascript; charset=utf-8', true],
])('%s is served', async (path, body, contentType, immutable) => {
  const file = await readWindowFile(directory, path);
  expect(file?.body.toString()).toBe(body);
  expect(file).toMatchObject({ contentType, immutable });
});

test.each([
  '/../secret.txt',
  '/assets/../../secret.txt',
  '/assets/%2e%2e/%2e%2e/secret.txt',
  '/assets/..%2f..%2fsecret.txt',
  '/assets/..%5c..%5csecret.txt',
  '/assets/../../window-beside/secret.txt',
  '/assets/linked.txt',
  '/assets/main-4f2a.js%00.txt',
  '/assets/main-4f2a.js/x.txt',
  '/assets/%zz.js',
  '/assets/',
  '/assets/missing.js',
  '/missing.png',
  '/secret.exe',
  'assets/main-4f2a.js',
  '',
])('%s is not there', async (path) => {
  expect(await readWindowFile(directory, path)).toBeNull();
});
