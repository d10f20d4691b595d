// Where the time went, on a made-up system whose server 12 slows down and whose server 1 takes a burst.
import { expect, test } from '@playwright/test';
import { startSyntheticHost } from '../harness/synthetic-host.ts';

test('from a range to the stage that changed, the tenant then, and its log', async ({ page, context }) => {
  await using stack = new AsyncDisposableStack();
  const host = stack.use(await startSyntheticHost({ tenants: 41, linesPerS: 10 }));
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);

  await test.step('the view is one key away and shows the last hour', async () => {
    await page.goto(host.url);
    await expect(page.getByRole('link', { name: 'Timing' })).toBeVisible();
    await page.keyboard.press('g');
    await page.keyboard.press('t');
    await expect(page).toHaveURL(/\/timing$/);
    await expect(page.getByRole('button', { name: '1 h' })).toHaveAttribute('aria-pressed', 'true');
    await expect(page.getByRole('img', { name: /^Stages, p95.*deliver .*run .*wait/ })).toBeVisible();
    await expect(page.getByRole('img', { name: /^Shares of what finished: .*the rest/ })).toBeVisible();
    await expect(page.getByText(/Jain's index 0\.\d+ of 1/)).toBeVisible();
  });

  await test.step('what changed is a sentence', async () => {
    const changed = page.getByRole('complementary', { name: 'What changed' });
    await expect(changed.getByRole('listitem').first()).toContainText(
      /slower ×13 deliver p95 of .* rose from 180 ms to 2.4 s at/,
    );
    await expect(changed.getByRole('listitem')).toHaveCount(2);
  });

  await test.step('the range, the tenants and the comparison stand in the address', async () => {
    await page.getByRole('button', { name: '24 h' }).click();
    await expect(page).toHaveURL(/last=24h/);
    await page.keyboard.press('/');
    await page.keyboard.type('12');
    await page.keyboard.press('Enter');
    await expect(page).toHaveURL(/tenants=12/);
    await page.getByLabel('Compare with').selectOption('the day before');
    await expect(page).toHaveURL(/against=day/);
    const table = page.getByRole('table').first();
    await expect(table.locator('tbody tr')).toHaveCount(1);
    await expect(table).toContainText('slower +400 %');
    await page.reload();
    await expect(table).toContainText('slower +400 %');
    await page.getByRole('button', { name: /^Without/ }).click();
    await expect(table.locator('tbody tr')).toHaveCount(41);
  });

  await test.step('the table sorts by a stage and is copied', async () => {
    const table = page.getByRole('region', { name: /^Table of/ });
    await table.getByRole('button', { name: 'Errors' }).click();
    await expect(table.getByRole('columnheader', { name: 'Errors' })).toHaveAttribute(
      'aria-sort',
      'descending',
    );
    await expect(table.locator('tbody tr').first()).toContainText('21 %');
    await page.getByRole('button', { name: 'Copy CSV' }).click();
    await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible();
    const csv = await page.evaluate<string>('navigator.clipboard.readText()');
    expect(csv.split('\r\n')[0]).toContain('tenant_id,tenant,stage,finished');
    expect(csv.trimEnd().split('\r\n')).toHaveLength(1 + 41 * 6);
  });

  await test.step('dragging over a chart zooms', async () => {
    const box = await page.getByRole('img', { name: /^Stages/ }).boundingBox();
    if (box === null) throw new Error('the chart is not there');
    await page.mouse.move(box.x + box.width * 0.6, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.8, box.y + 60, { steps: 4 });
    await page.mouse.up();
    await expect(page).toHaveURL(/from=\d+&to=\d+/);
    await page.getByRole('button', { name: 'Back to now' }).click();
    await expect(page).not.toHaveURL(/from=/);
  });

  await test.step('size is told in words, by stage, and as a table', async () => {
    const sizes = page.getByRole('region', { name: 'Size against time' });
    await expect(sizes).toContainText('10 times larger takes 1.8 times longer; size explains 12 %');
    await sizes.getByLabel('Stage of the size plot').selectOption('dkim');
    await expect(sizes).toContainText('size explains 83 %');
    await sizes.getByText('The same as a table').click();
    await expect(sizes.getByRole('columnheader', { name: 'p95 up to' })).toBeVisible();
    await expect(sizes.getByRole('link', { name: '9000' })).toHaveAttribute(
      'href',
      /logs\?filter=job%3D9000&from=/,
    );
  });

  await test.step('a change leads to its tenant at that moment', async () => {
    await page
      .getByRole('link', { name: /at that moment$/ })
      .first()
      .click();
    await expect(page).toHaveURL(/\/tenant\/12\?from=\d+&to=\d+/);
    await expect(page.getByRole('button', { name: 'Back to now' })).toBeVisible();
  });
});
