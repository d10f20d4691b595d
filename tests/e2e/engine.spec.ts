// The local engine as its user meets it: workers, a pause, a kind declared in the window, its dead set, and incident 3.
import { expect, test, type Locator, type Page } from '@playwright/test';
import { startHeadway } from '../harness/headway.ts';

/** Fails for good with a word on standard error: a permanent error by its exit code. */
const FAILING = ['-e', "process.stderr.write('reading page 4\\nthe disk is full\\n'); process.exit(3)"];

test('watch the engine, pause a kind, declare one, work on its dead set, play incident 3', async ({
  page,
}) => {
  await using stack = new AsyncDisposableStack();
  const headway = stack.use(await startHeadway());

  await test.step('the engine of the rehearsal is one key away, and its workers work', async () => {
    await page.goto(headway.url);
    await expect(page.getByText('Rehearsal of incident 1 on this computer')).toBeVisible();
    await page.keyboard.press('g');
    await page.keyboard.press('e');
    await expect(page).toHaveURL(/\/connection\/this-computer\/engine$/);
    await expect(page.getByRole('group', { name: 'The engine now' })).toContainText('2 of 2 workers active');
    await expect(
      workers(page)
        .getByRole('link', { name: /^mail \d+$/ })
        .first(),
    ).toBeVisible();
  });

  await test.step('a kind is paused by name, with its reason, and resumed', async () => {
    await kind(page, 'mail').getByRole('button', { name: 'Pause' }).click();
    const dialog = page.getByRole('dialog', { name: 'Pause kind mail?' });
    await expect(dialog).toContainText('What runs finishes');
    await dialog.getByLabel('Reason').fill('the relay is full');
    await dialog.getByRole('button', { name: 'Pause' }).click();
    await expect(kind(page, 'mail')).toContainText('the relay is full');
    const held = page.getByRole('complementary', { name: 'Held and under way' });
    await expect(held).toContainText('kind mail');
    await expect(held).toContainText('requested → 0 in flight → effective');
    await expect(workers(page).getByRole('link', { name: /^mail \d+$/ })).toHaveCount(0);
    await held.getByRole('button', { name: 'Resume' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click();
    await expect(held).toBeHidden();
    await expect(
      workers(page)
        .getByRole('link', { name: /^mail \d+$/ })
        .first(),
    ).toBeVisible();
  });

  await test.step('a kind is declared by the form, which says what is wrong at its field', async () => {
    await page.keyboard.press('g');
    await page.keyboard.press('j');
    await page.getByRole('button', { name: 'Add kind' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Two Words');
    await expect(page.getByText('use small letters, digits')).toBeVisible();
    await page.getByLabel('Name', { exact: true }).fill('failing');
    await page.getByLabel('Command', { exact: true }).fill([process.execPath, ...FAILING].join('\n'));
    await page.getByLabel('Exit codes that mean permanent').fill('3');
    await page.getByRole('button', { name: 'Save' }).click();
    await expect(page.getByText('Saved: the engine works by it now')).toBeVisible();
  });

  await test.step('it is run now, and its page says how it ended', async () => {
    await page.getByLabel('Tenant', { exact: true }).fill('edify');
    await page.getByLabel('Payload', { exact: true }).last().fill('{"page": 4}');
    await page.getByRole('button', { name: 'Run one failing' }).click();
    await page.getByRole('link', { name: /^job \d+$/ }).click();
    await expect(page).toHaveURL(/\/connection\/local-engine\/jobs\/\d+$/);
    await expect(page.getByText('in the dead set after 1 of')).toBeVisible();
    await expect(page.getByText('permanent: ')).toContainText('the disk is full');
    await expect(page.getByText('reading page 4')).toBeVisible();
    await expect(page.getByText('"page"')).toBeHidden();
    await page.getByRole('button', { name: 'Show' }).click();
    await expect(page.getByText('"page"')).toBeVisible();
  });

  await test.step('the dead set groups it by cause; requeued, it dies again; discarded, it is gone', async () => {
    await page.keyboard.press('g');
    await page.keyboard.press('e');
    await page.keyboard.press('2');
    const causes = page.getByRole('group', { name: 'Causes' });
    await expect(causes.getByRole('button', { name: /failing/ })).toContainText('the disk is full');
    const jobs = page.getByRole('list', { name: 'Dead jobs of failing' });
    await expect(jobs.getByRole('listitem')).toHaveCount(1);

    await page.keyboard.press('q');
    const requeue = page.getByRole('dialog', { name: 'Requeue 1 dead job?' });
    await expect(requeue).toContainText('failing of edify');
    await requeue.getByRole('button', { name: 'Requeue' }).click();
    const work = page.getByRole('complementary', { name: 'Held and under way' });
    await expect(work).toContainText('Requeued kind failing');
    await expect(work).toContainText('done, 1 job');
    // It ran again, and once more in vain.
    await page.getByRole('link', { name: 'Recent' }).click();
    const recent = page.getByRole('list', { name: 'Recent attempts' }).getByRole('listitem');
    await expect(recent.filter({ hasText: 'failing' })).toHaveCount(2);

    await page.keyboard.press('2');
    await expect(jobs.getByRole('listitem')).toHaveCount(1);
    await page.keyboard.press('x');
    const discard = page.getByRole('dialog', { name: 'Discard 1 dead job for good?' });
    const button = discard.getByRole('button', { name: 'Discard for good' });
    await expect(button).toBeDisabled();
    await discard.getByLabel('Type failing to go on').fill('failing');
    await button.click();
    await expect(page.getByRole('link', { name: /^Dead set/ })).toHaveText(/Dead set\s*0/);
  });

  await test.step('incident 3: a script hangs and holds its worker; with timeouts it is ended', async () => {
    await page.goto(`${headway.origin}/connection/this-computer/engine`);
    await page.getByRole('button', { name: /^Incident 1/ }).click();
    await page.getByRole('menuitem', { name: /^3/ }).click();
    await expect(page.getByText('Rehearsal of incident 3 on this computer')).toBeVisible();
    await page.getByRole('button', { name: 'Send one that hangs' }).click();
    // An ordinary document takes a second.
    const hanging = workers(page)
      .getByRole('listitem')
      .filter({ hasText: /process \d+/ })
      .filter({ hasText: /\b(?:[5-9]|1\d) s\b/ });
    await expect(hanging.first()).toBeVisible({ timeout: 30_000 });
    await page.getByRole('group', { name: 'Timeouts' }).getByText('job 18 s').click();
    await page.getByRole('button', { name: 'Send one that hangs' }).click();
    await page.getByRole('link', { name: 'Recent' }).click();
    const late = page.getByRole('list', { name: 'Recent attempts' }).getByText(/took longer than 9 s/);
    await expect(late.first()).toBeVisible({ timeout: 40_000 });
  });
});

const workers = (page: Page): Locator => page.getByRole('list', { name: 'Workers' });
const kind = (page: Page, name: string): Locator =>
  page
    .getByRole('region', { name: 'Kinds' })
    .getByRole('row')
    .filter({ has: page.getByRole('rowheader', { name }) });
