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
  { name: 'engine', path: `${here}/engine` },
  { name: 'engine-recent', path: `${here}/engine/recent` },
  { name: 'jobs', path: '/settings/jobs', prepare: addKind },
  { name: 'connections', path: '/connections' },
  { name: 'settings', path: '/settings' },
];

/** Incident 4 is where an engine shows most of what it does: errors by class, a throttle, breakers, a cascade. */
const incident4: typeof views = [
  { name: 'rehearsal-4', path: here },
  { name: 'engine-4', path: `${here}/engine` },
  { name: 'engine-dead', path: `${here}/engine/dead` },
  { name: 'engine-blocked', path: `${here}/engine/blocked` },
  {
    name: 'job',
    path: `${here}/engine/dead`,
    prepare: async (page) => {
      await page
        .getByRole('list', { name: /^Dead jobs/ })
        .getByRole('link')
        .first()
        .click();
      await page.waitForTimeout(500);
    },
  },
];

async function addKind(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Add kind' }).click();
  await page.getByLabel('Name', { exact: true }).fill('sync');
  await page.getByLabel('Command', { exact: true }).fill('/opt/jobs/sync.py\n--supplier\nnorth wind\n--json');
}

await mkdir(values.out, { recursive: true });
await using headway = await startHeadway();
const browser = await chromium.launch(chromiumLaunch());
await using _closing = { [Symbol.asyncDispose]: () => browser.close() };
const context = await browser.newContext({ viewport: { width, height } });
const page = await context.newPage();
await page.goto(headway.url);
await page.waitForTimeout(INCIDENT_AT_ITS_HEIGHT_MS);
for (const view of views) await take(view);
await page.goto(headway.origin + here);
await page.getByRole('button', { name: /^Incident/ }).click();
await page.getByRole('menuitem', { name: /^4/ }).click();
await page.waitForTimeout(INCIDENT_AT_ITS_HEIGHT_MS);
for (const view of incident4) await take(view);

async function take({ name, path, prepare }: (typeof views)[number]): Promise<void> {
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
