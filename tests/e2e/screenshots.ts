// Takes the pictures in docs/screenshots from the rehearsal, dark and light: `npm run screenshots`.
// `-- --size 1024x640 --out DIR` takes them at another size into another folder, to look at.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium, type Page } from 'playwright-core';
import { chromiumLaunch } from '../harness/chromium.ts';
import { startHeadway } from '../harness/headway.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1280x800' },
    out: { type: 'string', default: join(import.meta.dirname, '..', '..', 'docs', 'screenshots') },
  },
});
const [width = 1280, height = 800] = values.size.split('x').map(Number);
/** The burst comes three seconds after the start; by then the others have waited long enough to be late. */
const INCIDENT_AT_ITS_HEIGHT_MS = 20_000;
const SETTLE_MS = 2_500;

const here = '/connection/this-computer';
const views: { name: string; path: string; prepare?: (page: Page) => Promise<void> }[] = [
  { name: 'overview', path: here },
  { name: 'tenant', path: `${here}/tenant/3` },
  { name: 'alerts', path: '/alerts' },
  { name: 'logs', path: `${here}/logs` },
  { name: 'palette', path: here, prepare: (page) => page.keyboard.press('Control+k') },
  { name: 'help', path: here, prepare: (page) => page.keyboard.press('?') },
  { name: 'connections', path: '/connections' },
  { name: 'settings', path: '/settings' },
];

await mkdir(values.out, { recursive: true });
await using headway = await startHeadway();
const browser = await chromium.launch(chromiumLaunch());
await using _closing = { [Symbol.asyncDispose]: () => browser.close() };
const context = await browser.newContext({ viewport: { width, height } });
const page = await context.newPage();
await page.goto(headway.url);
await page.waitForTimeout(INCIDENT_AT_ITS_HEIGHT_MS);
for (const { name, path, prepare } of views) {
  await page.goto(headway.origin + path);
  await page.waitForTimeout(SETTLE_MS);
  await prepare?.(page);
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    await page.waitForTimeout(500);
    const file = `${name}-${colorScheme}-${values.size}.png`;
    await page.screenshot({ path: join(values.out, file) });
    console.log(file);
  }
}
