// What an engineer looks up of a queue on a bad night: the jobs that wait, who holds what, how the database does.
// The data is made up, so that every part has something to show; the window and its way to the backend are real.
import { expect, test, type Locator, type Page } from '@playwright/test';
import { startSyntheticHost } from '../harness/synthetic-host.ts';

test('jobs, locks, a job, the database, its indexes and abilities of any queue', async ({
  page,
  context,
}) => {
  await using host = await startSyntheticHost({ tenants: 20, linesPerS: 10 });
  const { origin } = new URL(host.url);
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin });
  await page.goto(host.url);
  const open = (path: string) => page.goto(`${origin}/connection/${path}`);

  await test.step("a tenant's jobs are one key away, oldest first, and read again by themselves", async () => {
    await open('prod-postal/tenant/3');
    await expect(page.getByRole('heading', { name: 'mailflow' })).toBeVisible();
    await expect(page.getByRole('img', { name: /^Lag/ })).toBeVisible();
    await page.keyboard.press('2');
    await expect(page).toHaveURL(/\/tenant\/3\/ready$/);
    await expect(jobs(page, 'Ready').first()).toContainText(/\dm \d\ds/);
    const before = await footer(page).textContent();
    await expect(footer(page)).not.toHaveText(before ?? '');
  });

  await test.step('a chosen row holds them still; Enter opens it, Esc leads back', async () => {
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    const chosen = page.getByRole('list', { name: 'Ready jobs' }).locator('[aria-current]');
    const id = await chosen.getByRole('link').textContent();
    await expect(footer(page)).toContainText('standing still while you are at it');
    await page.keyboard.press('Enter');
    await expect(page.getByRole('heading', { name: `Job ${id ?? ''}` })).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(page).toHaveURL(/\/tenant\/3(\/ready)?$/);
  });

  await test.step('a stale lock is told by word and shape, with the rule that it is under', async () => {
    await open('prod-postal/tenant/3');
    await page.getByRole('link', { name: /^Locks 1 stale$/ }).click();
    const lock = page.getByRole('list', { name: 'Locks' }).getByRole('listitem').first();
    await expect(lock).toContainText('host:mail-1');
    await expect(lock).toContainText('stale');
    await expect(page.getByText('the mail is lost')).toBeVisible();
  });

  await test.step('what the system cannot tell or do it says, without a button', async () => {
    const parts = page.getByRole('navigation', { name: 'Parts of the tenant' });
    await expect(parts.getByRole('link', { name: /^Blocked/ })).toHaveCount(0);
    const actions = page.getByRole('region', { name: 'Do' });
    await expect(actions.getByText('Not possible: drain')).toBeVisible();
    await expect(actions.getByRole('button')).toHaveCount(0);
    await open('prod-postal/tenant/3/dead');
    await expect(page.getByText('Postal keeps no queue row of mail that failed for good')).toBeVisible();
  });

  await test.step('a long list is read on by its cursor and leaves as CSV', async () => {
    await open('prod-boss/tenant/3/dead');
    await expect(footer(page)).toContainText('100 shown');
    await page.keyboard.press('n');
    await expect(footer(page)).toContainText(/(1[0-9][1-9]|[23]\d\d) shown/);
    await page.keyboard.press('c');
    await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible();
    const csv = await clipboard(page);
    expect(csv).toMatch(/^id,tenant,kind,state,/);
    expect(csv.trim().split('\r\n').length).toBeGreaterThan(101);
  });

  await test.step('a job has a page of its own by any id, its payload shown when asked for', async () => {
    await jobs(page, 'Dead').first().getByRole('link').click();
    await expect(page).toHaveURL(/\/connection\/prod-boss\/jobs\/[0-9a-f-]{36}$/);
    await page.reload();
    await expect(page.getByText('dead (failed)')).toBeVisible();
    await expect(page.getByText('retry_limit')).toBeVisible();
    await expect(page.getByText('"api_key"')).toBeHidden();
    await page.keyboard.press('v');
    await expect(page.getByText('"api_key": "redacted"')).toBeVisible();
    await page.keyboard.press('l');
    await expect(page).toHaveURL(/\/logs\?filter=job%3D[0-9a-f-]{36}$/);
    await open('prod-boss/jobs/no-such-job');
    await expect(page.getByText('There is no such job')).toBeVisible();
  });

  await test.step('the database is two keys away: what is wrong first, who blocks whom', async () => {
    await open('prod-postal');
    await expect(page.getByRole('grid')).toBeVisible();
    await page.keyboard.press('g');
    await page.keyboard.press('d');
    await expect(page).toHaveURL(/\/connection\/prod-postal\/database$/);
    await expect(page.getByRole('region', { name: 'Findings' })).toContainText('KILL 9213');
    const waits = page.getByRole('region', { name: 'Lock waits' });
    await expect(waits.getByRole('listitem').first()).toContainText('blocks 2 sessions');
    await expect(waits.locator('li li li')).toContainText('session 882');
  });

  await test.step('index advice comes on demand, with the statement to copy and plans folded away', async () => {
    await open('prod-boss/database/indexes');
    await expect(page.getByText('Headway never creates an index')).toBeVisible();
    await page.getByRole('button', { name: "Explain the queue's statements" }).click();
    const missing = page.getByRole('region', { name: 'Missing indexes' });
    await expect(missing).toContainText('1,204,331 → 101');
    await missing.getByRole('button', { name: 'Copy' }).click();
    await expect(missing.getByRole('button', { name: 'Copied' })).toBeVisible();
    expect(await clipboard(page)).toMatch(/^CREATE INDEX CONCURRENTLY/);
    await expect(page.getByText('Parallel Seq Scan')).toBeHidden();
    await page.getByText("Headway's list of dead jobs", { exact: true }).click();
    await expect(page.getByText('Parallel Seq Scan')).toBeVisible();
  });

  await test.step('abilities stand with their means and hazards', async () => {
    await page.keyboard.press('3');
    await expect(page).toHaveURL(/\/database\/abilities$/);
    const action = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: 'Unlock' }) });
    await expect(action).toContainText('protocol');
    await expect(action).toContainText('A worker that is still at it ends it a second time.');
  });

  await test.step('where nothing is told it says so and leads on', async () => {
    await open('prod-jobs/tenant/3/ready');
    await page.getByRole('link', { name: /^Open the engine/ }).click();
    await expect(page).toHaveURL(/\/connection\/prod-jobs\/engine$/);
    await open('staging/database');
    await expect(page.getByRole('alert')).toContainText('does not answer');
  });
});

/** Asked as text: the specs are compiled without the browser's types. */
const clipboard = async (page: Page): Promise<string> =>
  String(await page.evaluate('navigator.clipboard.readText()'));
const jobs = (page: Page, list: string): Locator =>
  page.getByRole('list', { name: `${list} jobs` }).getByRole('listitem');
const footer = (page: Page): Locator => page.locator('main footer');
