// The desktop shell in the real Electron. It needs Electron's binary and a screen; where one is missing the suite
// says so and is skipped, and the shell rests on its type check and on the unit tests beside it.
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, expect, test, type ElectronApplication, type Page } from '@playwright/test';

const root = join(import.meta.dirname, '..', '..');
const electron = join(root, 'node_modules', 'electron');

/** Why Electron cannot run here; null when it can. */
function whyNot(): string | null {
  const pathFile = join(electron, 'path.txt');
  if (!existsSync(pathFile))
    return 'the Electron binary is not installed (node node_modules/electron/install.js)';
  if (!existsSync(join(electron, 'dist', readFileSync(pathFile, 'utf8'))))
    return 'the Electron binary is incomplete';
  const screenless = process.platform === 'linux' && !process.env.DISPLAY && !process.env.WAYLAND_DISPLAY;
  if (screenless) return 'there is no screen (neither DISPLAY nor WAYLAND_DISPLAY is set)';
  if (!existsSync(join(root, 'out', 'main', 'index.js')))
    return 'the application is not built (npm run build)';
  return null;
}

const reason = whyNot();
if (reason !== null) console.warn(`SKIPPED: the Electron suite, because ${reason}.`);
test.skip(reason !== null, reason ?? '');

let data: string;
let app: ElectronApplication;
let page: Page;

test.beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'headway-electron-'));
  app = await launch();
  page = await app.firstWindow();
});
test.afterAll(async () => {
  await app.close();
  await rm(data, { recursive: true, force: true });
});

function launch(...args: string[]): Promise<ElectronApplication> {
  // Root, as in containers, gets no sandbox from Chromium.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return _electron.launch({
    args: [root, ...sandbox, ...args],
    env: { ...environment(), HEADWAY_DATA: data },
  });
}

function environment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

test('the window is served under its own scheme and shows live tenants over the port', async () => {
  expect(page.url()).toMatch(/^headway:\/\/app\//);
  await expect(page.getByText('This computer').first()).toBeVisible();
  await expect(page.getByText('live').first()).toBeVisible();
});

// What runs in the page is text: these files are typed for Node, not for the DOM.
test('the page has no Node and cannot leave', async () => {
  expect(await page.evaluate('[typeof require, typeof process]')).toEqual(['undefined', 'undefined']);
  const url = page.url();
  await page.evaluate("void (location.href = 'https://example.com/')");
  expect(await page.evaluate("window.open('https://example.com/') === null")).toBe(true);
  await expect(page.getByText('This computer').first()).toBeVisible();
  expect(page.url()).toBe(url);
  expect(app.windows()).toHaveLength(1);
});

test('inline scripts and foreign addresses are refused by the policy', async () => {
  const inline = `
    const script = document.createElement('script');
    script.textContent = 'window.injected = true';
    document.head.append(script);
    'injected' in window`;
  expect(await page.evaluate(inline)).toBe(false);
  expect(await page.evaluate("fetch('https://example.com/').then(() => true, () => false)")).toBe(false);
});

test('a second start brings this one to the front at the deep link', async () => {
  const second = await launch('headway://connection/this-computer/logs').catch(() => null);
  await expect.poll(() => page.url()).toBe('headway://app/connection/this-computer/logs');
  await second?.close().catch(() => undefined);
  expect(app.windows()).toHaveLength(1);
});

test('the icons of the tray can be read', async () => {
  const empty = await app.evaluate(
    ({ nativeImage }, icons) => icons.map((file) => nativeImage.createFromPath(file).isEmpty()),
    ['normal', 'warning', 'critical'].map((state) => join(root, 'resources', `tray-${state}.png`)),
  );
  expect(empty).toEqual([false, false, false]);
});
