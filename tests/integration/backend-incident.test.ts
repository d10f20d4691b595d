// Incident 1 through the whole backend: a real Postal database, its worker's log over a real sshd, and nothing but the
// methods and streams of the contract. The tests are one story and run in order.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlertEvent } from '../../src/core/alert.ts';
import type { History } from '../../src/contract/history.ts';
import { startMariaDb, type MariaDb } from '../harness/mariadb.ts';
import {
  BURSTING_ID,
  incident1Servers,
  MAILFLOW_ID,
  playIncident1,
  type Incident1,
} from '../harness/postal-incident.ts';
import { createPostal, createReader, withPostal, type Postal } from '../harness/postal-schema.ts';
import { startSshd, type Sshd } from '../harness/sshd.ts';
import { tempDir } from '../harness/temp.ts';
import { soon, TestBackend, type Followed } from './backend-fixture.ts';

/** A burst of 50 takes 300 s in life: 7.5 s here. */
const SPEED = 40;
const mailflow = String(MAILFLOW_ID);
const lagAlert = `mail/lag/tenant/${mailflow}`;

const stack = new AsyncDisposableStack();
let folder: string;
let db: MariaDb;
let sshd: Sshd;
let postal: Postal;
let incident: Incident1;
let backend: TestBackend;
let alerts: Followed<'alerts'>;
let beganMs: number;

beforeAll(async () => {
  folder = stack.use(await tempDir('backend')).path;
  [db, sshd] = await Promise.all([startMariaDb(), startSshd()]);
  stack.use(db);
  stack.use(sshd);
  postal = await createPostal(db, { servers: [...incident1Servers] });
  const reader = await createReader(postal);
  incident = stack.use(
    await playIncident1({
      postal,
      logFile: join(sshd.folder, 'worker.log'),
      speed: SPEED,
      burstAtStart: false,
      // Only the one behind the burst: its wait is one episode.
      mailflowEverySeconds: 0,
    }),
  );
  process.env['HEADWAY_TEST_PASSWORD'] = reader.password;
  stack.defer(() => {
    delete process.env['HEADWAY_TEST_PASSWORD'];
  });
  const { host, port, user, privateKeyFile: file } = sshd;
  beganMs = Date.now();
  backend = await TestBackend.start(folder, {
    version: 1,
    thisComputer: { enabled: false },
    connections: [
      {
        id: 'mail',
        name: 'Mail',
        kind: 'postal',
        database: {
          host: db.host,
          port: db.port,
          user: reader.user,
          database: 'postal',
          password: { env: 'HEADWAY_TEST_PASSWORD' },
        },
        logHosts: [
          {
            host,
            port,
            user,
            auth: { kind: 'key', file },
            inputs: [{ kind: 'file', path: join(sshd.folder, 'worker.log') }],
          },
        ],
        pollSeconds: 0.25,
        windowSeconds: 2,
      },
    ],
    alerts: {
      lag: { warning: 1.5, critical: null, forSeconds: 0.5, keepFiringForSeconds: 1.5 },
      stalled: { forSeconds: 0.5, keepFiringForSeconds: 1.5 },
      unreachable: { warning: 0.5, critical: null, forSeconds: 0, keepFiringForSeconds: 0.5 },
    },
  });
  alerts = await backend.follow('alerts', {});
});
afterAll(async () => {
  await backend[Symbol.asyncDispose]();
  await stack.disposeAsync();
});

const eventsOf = (alertId: string): AlertEvent[] =>
  alerts.deltas.flatMap(({ events }) => events).filter((event) => event.alertId === alertId);
const changes = (events: AlertEvent[]) => events.map(({ from, to }) => `${from} → ${to}`);
const historyOf = (tenantId: string): Promise<History> =>
  backend.call('history.query', {
    connectionId: 'mail',
    tenantId,
    fromMs: beganMs - 60_000,
    toMs: Date.now() + 60_000,
    maxPoints: 2_000,
  });

describe('the backend in incident 1', () => {
  it('shows 41 servers with their names', async () => {
    await backend.untilLive('mail');
    const overview = await backend.overview('mail');
    await expect.poll(() => overview.head.asOfMs, soon).not.toBeNull();
    expect(overview.rows).toHaveLength(41);
    expect(overview.row(mailflow).name).toBe('mailflow');
    expect(overview.row(String(BURSTING_ID)).name).toBe('newsletter');
    expect(overview.head.connection).toMatchObject({ tenantWord: 'server', kind: 'postal' });
    expect(overview.head.claimOrder).not.toBeNull();
    overview.leave();
  });

  it('asks about the key of the log host once; trusted, the log comes in by itself', async () => {
    const { snapshot } = await backend.follow('connections', {});
    expect(snapshot[0]?.id).toBe('mail');
    const connection = await backend.call('connections.get', { id: 'mail' });
    const test = await backend.follow('connectionTest', { connection });
    await expect.poll(() => test.deltas.at(-1)?.done, soon).toBe(true);
    const steps = test.deltas.at(-1)?.steps ?? [];
    expect(steps.filter(({ id }) => id.startsWith('database.')).map(({ state }) => state)).not.toContain(
      'failed',
    );
    const asked = steps.find(({ error }) => error?.code === 'host-key-unknown')?.error?.details;
    expect(asked?.['fingerprint']).toBe(sshd.hostKeyFingerprint);

    await backend.call('hostKeys.accept', {
      host: asked?.['host'] ?? '',
      port: Number(asked?.['port']),
      fingerprint: asked?.['fingerprint'] ?? '',
    });
    const logHost = async () => {
      const followed = await backend.follow('connections', {});
      followed.leave();
      return followed.snapshot[0]?.logHosts.map(({ state, error }) => error?.message ?? state);
    };
    // The file is there once the first message was delivered.
    await incident.workload.enqueue(5);
    await expect.poll(logHost, soon).toEqual(['live']);
    const again = await backend.follow('connectionTest', { connection });
    await expect.poll(() => again.deltas.at(-1)?.done, soon).toBe(true);
    expect(again.deltas.at(-1)?.steps.filter(({ state }) => state === 'failed')).toEqual([]);
  });

  it('sees server 3 turn late behind the newsletter, tells of it once, and sees it over', async () => {
    const overview = await backend.overview('mail');
    await incident.burst();
    await expect
      .poll(() => overview.row(mailflow), soon)
      .toMatchObject({
        // Its turn has not come: it is late, and no worker is to be looked for (docs/adr/0008).
        status: 'lagging',
        severity: 'warning',
        cause: { kind: 'behind-neighbour' },
      });
    const late = overview.row(mailflow);
    expect(late.cause?.text).toMatch(/^behind newsletter/);
    expect(late.behind?.tenants[0]).toMatchObject({ id: String(BURSTING_ID), name: 'newsletter' });
    expect(overview.head.totals.late).toBeGreaterThanOrEqual(1);
    expect(overview.head.totals.worst).toMatchObject({ lagMs: expect.any(Number) as number });
    expect(overview.head.connection.firing).toBeGreaterThanOrEqual(1);

    await expect.poll(() => changes(eventsOf(lagAlert)).at(-1), soon).toBe('recovering → normal');
    expect(changes(eventsOf(lagAlert))).toEqual([
      'normal → pending',
      'pending → firing',
      'firing → recovering',
      'recovering → normal',
    ]);
    const told = alerts.deltas.flatMap(({ notify }) => notify).filter(({ alertId }) => alertId === lagAlert);
    expect(changes(told)).toEqual(['pending → firing', 'recovering → normal']);
    expect(told[0]?.summary).toContain('mailflow');
    expect(overview.row(mailflow).severity).toBeNull();
    overview.leave();
  });

  it('shows the stages of server 17 from the log, live and in history', async () => {
    const tenantId = String(BURSTING_ID);
    const tenant = await backend.follow('tenant', { connectionId: 'mail', tenantId });
    const latest = () => tenant.deltas.at(-1)?.stages ?? tenant.snapshot.stages;
    await expect
      .poll(() => latest().find(({ stage }) => stage === 'total')?.count ?? 0, soon)
      .toBeGreaterThanOrEqual(50);
    expect(latest().map(({ stage }) => stage)).toEqual(
      expect.arrayContaining(['load', 'inspect', 'dkim', 'deliver', 'total']),
    );
    // 12 s a message in life, nearly all of it the delivery.
    const p50 = (stage: string) => latest().find((each) => each.stage === stage)?.p50Ms ?? 0;
    expect(p50('deliver')).toBeGreaterThan(0.8 * p50('total'));
    expect(p50('total')).toBeGreaterThan(12_000 / SPEED / 2);
    tenant.leave();

    const { points } = await historyOf(tenantId);
    expect(points.reduce((sum, point) => sum + point.finished, 0)).toBeGreaterThanOrEqual(50);
    expect(points.reduce((sum, point) => sum + point.failed, 0)).toBe(0);
    expect(points.some(({ stagesP95Ms }) => (stagesP95Ms['deliver'] ?? 0) > 100)).toBe(true);
    const lags = (await historyOf(mailflow)).points.map(({ lagMaxMs }) => lagMaxMs ?? 0);
    expect(Math.max(...lags)).toBeGreaterThan(4_000);

    const logs = await backend.follow('logs', { connectionId: 'mail' });
    logs.leave();
    expect(logs.snapshot.stats).toMatchObject({ malformed: 0, dropped: 0 });
    expect(logs.snapshot.lines.some(({ timing }) => timing?.tenantId === tenantId)).toBe(true);
  });

  it('says that the database is away, keeps the gap as a gap, and goes on by itself', async () => {
    const standing = async () => {
      const followed = await backend.follow('alerts', {});
      followed.leave();
      return followed.snapshot.alerts.map(({ id }) => id);
    };
    await expect.poll(standing, soon).toEqual([]);
    const before = alerts.deltas.length;
    await db.stop();
    await expect.poll(() => backend.stateOf('mail'), soon).toBe('unreachable');
    const fires = () => changes(eventsOf('mail/unreachable/connection/mail')).includes('normal → firing');
    await expect.poll(fires, soon).toBe(true);
    // Long enough for the window of two seconds to run dry.
    await sleep(2_500);
    const overview = await backend.overview('mail');
    expect(new Set(overview.rows.map(({ status }) => status))).toEqual(new Set(['no-data']));
    expect(overview.row(mailflow).lagMs).toBeNull();
    await db.start();
    await backend.untilLive('mail');
    await expect.poll(() => overview.row(mailflow).status, soon).toMatch(/^(idle|ok)$/);
    overview.leave();
    await expect
      .poll(() => changes(eventsOf('mail/unreachable/connection/mail')).at(-1), soon)
      .toBe('recovering → normal');
    // The outage explains whatever else was wrong: of that alone people were told.
    const told = alerts.deltas.slice(before).flatMap(({ notify }) => notify);
    expect(new Set(told.map(({ ruleId }) => ruleId))).toEqual(new Set(['unreachable']));

    const { gaps, points } = await historyOf(mailflow);
    expect(gaps).toHaveLength(1);
    const [gap] = gaps;
    expect(gap?.reason).toContain(`${db.host}:${db.port}`);
    const [fromMs, toMs] = [gap?.fromMs ?? 0, gap?.toMs ?? 0];
    expect(toMs - fromMs).toBeGreaterThan(2_500);
    expect(points.some(({ tMs, lagMaxMs }) => tMs > toMs && lagMaxMs !== null)).toBe(true);
  });

  it('goes on after a restart with its history and alerts, and says that it was not running', async () => {
    await incident.stop();
    // One message that nobody works on: its lag fires, and stays.
    await withPostal(postal, (root) =>
      root.query(
        `INSERT INTO queued_messages (server_id, message_id, domain, created_at, updated_at, attempts)
         VALUES (9, 1, 'example.org', UTC_TIMESTAMP(6) - INTERVAL 60 SECOND, UTC_TIMESTAMP(6), 0)`,
      ),
    );
    await expect.poll(() => changes(eventsOf('mail/lag/tenant/9')).at(-1), soon).toBe('pending → firing');
    const pointsBefore = (await historyOf(String(BURSTING_ID))).points.filter(({ finished }) => finished > 0);
    const eventsBefore = alerts.deltas.flatMap(({ events }) => events);
    await backend[Symbol.asyncDispose]();
    const stoppedMs = Date.now();
    await sleep(500);

    backend = await TestBackend.start(folder);
    alerts = await backend.follow('alerts', {});
    expect(alerts.snapshot.alerts.find(({ id }) => id === 'mail/lag/tenant/9')).toMatchObject({
      state: 'firing',
      scope: { name: 'customer-09' },
    });
    expect(alerts.snapshot.events.map(({ seq }) => seq)).toEqual(
      expect.arrayContaining(eventsBefore.map(({ seq }) => seq)),
    );
    await backend.untilLive('mail');
    const overview = await backend.overview('mail');
    await expect.poll(() => overview.row('9').lagMs ?? 0, soon).toBeGreaterThan(60_000);
    // Long enough to tell again, had it been forgotten.
    await sleep(1_500);
    expect(eventsOf('mail/lag/tenant/9')).toEqual([]);
    // A rule that was about to fire at the stop may do so now; what fired before is not told again.
    const fired = new Set(
      alerts.snapshot.alerts.filter(({ firedAtMs }) => firedAtMs !== null).map(({ id }) => id),
    );
    const told = alerts.deltas.flatMap(({ notify }) => notify);
    expect(told.filter(({ alertId }) => fired.has(alertId))).toEqual([]);

    const { gaps, points } = await historyOf(String(BURSTING_ID));
    expect(points.filter(({ finished }) => finished > 0)).toEqual(pointsBefore);
    const pause = gaps.find(({ reason }) => reason === 'Headway was not running');
    expect(pause?.fromMs).toBeLessThanOrEqual(stoppedMs);
    expect((pause?.toMs ?? 0) - (pause?.fromMs ?? 0)).toBeGreaterThanOrEqual(500);
    expect(gaps.every(({ toMs }) => toMs !== null)).toBe(true);
  });
});
