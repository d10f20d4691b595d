// The whole product as its user meets it: a Postal with incident 1 and a worker host are connected by the form,
// the incident is watched from pending to recovered, and both servers restart in the middle.
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, type Locator, type Page } from '@playwright/test';
import { startHeadway } from '../harness/headway.ts';
import { startMariaDb } from '../harness/mariadb.ts';
import { incident1Servers, playIncident1 } from '../harness/postal-incident.ts';
import { createPostal, createReader } from '../harness/postal-schema.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';

/** The incident's 12 s a message become 0.6 s; its 300 s of waiting become 15 s. */
const SPEED = 20;

test('connect a Postal by the form, watch incident 1, lose both servers and go on', async ({
  page,
  context,
}) => {
  await using stack = new AsyncDisposableStack();
  const db = stack.use(await startMariaDb());
  const postal = await createPostal(db, { servers: [...incident1Servers] });
  const reader = await createReader(postal);
  const sshd = stack.use(await startSshd());
  const logFile = join(sshd.folder, 'worker.log');
  const headway = stack.use(await startHeadway());
  const incident = stack.use(
    await playIncident1({ postal, logFile, speed: SPEED, burstAtStart: false, mailflowEverySeconds: 40 }),
  );

  await test.step('the first start shows the rehearsal, live and labelled', async () => {
    await page.goto(headway.url);
    await expect(page.getByText('Rehearsal of incident 1 on this computer')).toBeVisible();
    await expect(page.getByRole('grid')).toHaveAttribute('aria-rowcount', '42');
    await expect(page.getByText('live', { exact: true })).toBeVisible();
  });

  await test.step('a connection is added by the form, tested, its host key trusted, and saved', async () => {
    await page.getByRole('link', { name: 'Connect your own system' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Post office');
    await page.getByLabel('Environment').selectOption({ label: 'Staging' });
    await page
      .getByLabel('Database URL')
      .fill(`mysql://${reader.user}:wrong-password@${db.host}:${db.port}/${postal.database}`);
    await expect(page.getByLabel('Port', { exact: true })).toHaveValue(String(db.port));
    await addLogHost(page, sshd, logFile);
    await page.getByLabel('Poll every').fill('0.5');
    await page.getByLabel('Judge over').fill('5');
    await page.getByLabel('Warning over').fill('4');
    await page.getByLabel('Critical over').fill('600');
    await page.getByLabel('For', { exact: true }).fill('2');
    await page.getByLabel('Keep firing for').fill('2');

    const steps = page.getByRole('region', { name: 'Test' });
    await page.getByRole('button', { name: 'Test', exact: true }).click();
    await expect(steps.getByText(/password/i).first()).toBeVisible();
    await expect(steps.getByText(sshd.hostKeyFingerprint).first()).toBeVisible();

    await page.getByLabel('Password', { exact: true }).fill(reader.password);
    await steps.getByRole('button', { name: 'Trust this key' }).click();
    await expect(steps.getByRole('status')).toHaveText(/^It works/);
    await page.getByRole('button', { name: 'Save' }).click();
  });

  await test.step('41 servers are there', async () => {
    await expect(page).toHaveURL(/\/connection\/post-office$/);
    await expect(page.getByRole('grid')).toHaveAttribute('aria-rowcount', '42');
    await expect(page.getByText('staging', { exact: true })).toBeVisible();
    await expect(row(page, 'mailflow')).toBeVisible();
  });

  const alerts = await context.newPage();
  await alerts.goto(`${headway.origin}/alerts`);
  const lagAlert = (section: string): Locator =>
    alerts
      .getByRole('region', { name: section })
      .getByRole('article')
      .filter({ hasText: 'mailflow' })
      .filter({ hasText: 'Lag of the oldest ready job' })
      .filter({ hasText: 'Post office' });

  await test.step('the incident: server 3 turns to lagging behind the burst, its alert fires and clears', async () => {
    await expect(page.getByText('Warming up')).toBeHidden();
    await incident.burst();
    await expect(lagAlert('Pending')).toBeVisible();
    await expect(lagAlert('Firing')).toBeVisible();
    await expect(row(page, 'mailflow')).toContainText('behind newsletter');
    await expect(row(page, 'mailflow').getByLabel('lagging')).toBeVisible();
    await expect(lagAlert('Recovering')).toBeVisible({ timeout: 40_000 });
    await expect(lagAlert('Recovering')).toBeHidden();
    await expect(lagAlert('Firing')).toBeHidden();
  });

  await test.step('the tenant shows where the time goes, from the log', async () => {
    await page.goto(`${headway.origin}/connection/post-office/tenant/17`);
    await expect(page.getByRole('heading', { name: 'newsletter' })).toBeVisible();
    const stage = page.getByRole('row').filter({ hasText: 'deliver' });
    await expect(stage).toContainText(/\d+ m?s/);
    for (const name of ['load', 'inspect', 'dkim', 'total'])
      await expect(page.getByRole('rowheader', { name })).toBeVisible();
    await expect(page.getByRole('img', { name: /^Lag/ })).toBeVisible();
  });

  await test.step('both servers go away: it is said, and the rest goes on', async () => {
    await page.goto(`${headway.origin}/connection/post-office`);
    await db.stop();
    await sshd.stop();
    await expect(page.getByRole('alert').filter({ hasText: String(db.port) })).toBeVisible();
    await appendFile(logFile, numbered(0, 10));
    await page.goto(`${headway.origin}/connection/this-computer`);
    await expect(page.getByText('live', { exact: true })).toBeVisible();
    await appendFile(logFile, numbered(10, 20));
  });

  await test.step('both come back: data goes on, the gap is shown, no line of the log is lost or doubled', async () => {
    await db.start();
    await sshd.start();
    await page.goto(`${headway.origin}/connection/post-office`);
    await expect(page.getByRole('alert')).toBeHidden({ timeout: 30_000 });
    await page.goto(`${headway.origin}/connection/post-office/tenant/3`);
    await expect(page.getByText('Not watched:')).toBeVisible();

    await page.goto(`${headway.origin}/connection/post-office/logs?filter=numbered-line`);
    await expect(page.getByText('numbered-line 19 of 20')).toBeVisible({ timeout: 40_000 });
    const lines = await page.getByText(/numbered-line \d+ of 20/).allTextContents();
    const numbers = lines.map((line) => Number(/numbered-line (\d+)/.exec(line)?.[1]));
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  await incident.stop();
});

function row(page: Page, tenant: string): Locator {
  return page.getByRole('row').filter({ has: page.getByRole('link', { name: tenant, exact: true }) });
}

async function addLogHost(page: Page, sshd: Sshd, logFile: string): Promise<void> {
  await page.getByRole('button', { name: 'Add log host' }).click();
  await page.getByLabel('SSH host').fill(sshd.host);
  await page.getByLabel('SSH port').fill(String(sshd.port));
  await page.getByLabel('SSH user').fill(sshd.user);
  await page.getByLabel('Login with').selectOption({ label: 'Key file' });
  await page.getByLabel('Key file', { exact: true }).fill(sshd.privateKeyFile);
  await page.getByLabel('Path', { exact: true }).fill(logFile);
}

function numbered(from: number, to: number): string {
  const stamp = '2026-11-22 12:34:56 +0000 INFO   ';
  return Array.from({ length: to - from }, (_, n) => `${stamp} numbered-line ${from + n} of 20\n`).join('');
}
