// The made-up system's connections, and the steps of testing one.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionSummary } from '../../../src/contract/live.ts';
import type { ConnectionTest } from '../../../src/contract/connection-test.ts';
import type { ConnectionSettings } from '../../../src/contract/settings.ts';
import { THIS_COMPUTER } from '../../../src/contract/settings.ts';

export function syntheticConnections(nowMs: number): ConnectionSummary[] {
  const logHosts: ConnectionSummary['logHosts'] = [
    { label: 'worker@mail-1:22 postal.log', state: 'live', sinceMs: nowMs, error: null },
    { label: 'worker@mail-2:22 postal.log', state: 'live', sinceMs: nowMs, error: null },
  ];
  const base = { safety: 'read-only', worst: null, firing: 0, late: 0, logHosts } as const;
  return [
    {
      ...base,
      id: THIS_COMPUTER,
      name: 'This computer',
      kind: 'local-engine',
      safety: 'confirm',
      environment: 'development',
      tenantWord: 'server',
      state: { kind: 'live', sinceMs: nowMs },
      logHosts: [],
    },
    {
      ...base,
      id: 'local-engine',
      name: 'Local jobs',
      kind: 'local-engine',
      safety: 'confirm',
      environment: 'development',
      tenantWord: 'tenant',
      state: { kind: 'live', sinceMs: nowMs },
      logHosts: [],
    },
    {
      ...base,
      id: 'prod-postal',
      name: 'prod-postal',
      kind: 'postal',
      environment: 'production',
      tenantWord: 'server',
      state: { kind: 'live', sinceMs: nowMs },
    },
    {
      ...base,
      id: 'prod-jobs',
      name: 'prod-jobs',
      kind: 'engine',
      environment: 'production',
      tenantWord: 'tenant',
      state: { kind: 'live', sinceMs: nowMs },
      logHosts: [],
    },
    {
      ...base,
      id: 'prod-boss',
      name: 'prod-boss',
      kind: 'queue',
      environment: 'production',
      tenantWord: 'queue',
      state: { kind: 'live', sinceMs: nowMs },
      logHosts: [],
    },
    {
      ...base,
      id: 'staging',
      name: 'staging',
      kind: 'postal',
      environment: 'staging',
      tenantWord: 'server',
      logHosts: [],
      state: {
        kind: 'unreachable',
        sinceMs: nowMs,
        nextTryAtMs: nowMs + 20_000,
        error: {
          code: 'unreachable',
          message:
            'The database of staging at db.staging.test:3306 does not answer (connection refused). Check that it runs and that the VPN is up.',
          retryable: true,
        },
      },
    },
  ];
}

export const syntheticSettings = (id: string): ConnectionSettings => ({
  id,
  name: id,
  kind: 'postal',
  database: { host: 'db.test', port: 3306, user: 'headway', database: 'postal', tls: { mode: 'disabled' } },
  environment: 'production',
  safety: 'read-only',
  logHosts: [
    {
      host: 'mail-1',
      port: 22,
      user: 'worker',
      auth: { kind: 'agent' },
      inputs: [{ kind: 'file', path: '/var/log/postal.log' }],
    },
  ],
  pollSeconds: 1,
  windowSeconds: 60,
  canaryTenants: ['mailflow'],
  postal: { messageDatabasePrefix: 'postal-server-', staleLockHours: 24 },
  alerts: {},
});

const steps: [string, string, string][] = [
  ['database.resolve', 'Find the database host', '10.0.0.5'],
  ['database.connect', 'Connect to the database', 'TCP in 2 ms'],
  ['database.authenticate', 'Log in to the database', 'as headway'],
  ['database.grants', 'Read the grants', 'SELECT on postal'],
  ['database.schema', 'Look at the schema', 'Postal on MariaDB 10.11, 41 servers'],
  ['log.0.connect', 'Connect to mail-1 over SSH', 'the host key is known'],
  ['log.0.read', 'Read /var/log/postal.log', '12 lines a second'],
];

/** Before its first step. */
export const waitingTest: ConnectionTest = {
  done: false,
  steps: steps.map(([id, title]) => ({
    id,
    title,
    state: 'waiting',
    durationMs: null,
    detail: '',
    error: null,
  })),
};

/** Plays the steps of a test one after another. */
export async function playTest(emit: (test: ConnectionTest) => void, signal: AbortSignal): Promise<void> {
  const play = [...waitingTest.steps];
  for (const [index, [, , detail]] of steps.entries()) {
    const step = play[index];
    if (step === undefined) continue;
    play[index] = { ...step, state: 'running' };
    emit({ done: false, steps: [...play] });
    await sleep(250, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    play[index] = { ...step, state: 'ok', detail, durationMs: 3 + index * 4 };
    emit({ done: index === steps.length - 1, steps: [...play] });
  }
}
