import { expect, test } from 'vitest';
import type { DatabaseHealth, RunningStatement } from '../../../contract/database-health.ts';
import { healthFindings, THRESHOLDS, type HealthFigures } from './health-findings.ts';

const MINUTE = 60_000;
const session = (sessionId: string, forMs = 0, state = 'active'): RunningStatement => ({
  ...{ sessionId, forMs, state },
  user: 'app',
  client: '10.0.0.7',
  application: null,
  text: '',
});
const healthy: HealthFigures = {
  connections: { used: 80, max: 100, reserved: 3 },
  cacheHitRatio: 0.99,
  lockWaits: [],
  slow: [session('1', 20_000)],
  deadRows: [{ table: 'jobs', live: 1_000_000, dead: 199_000, lastVacuumAtMs: 1 }],
  horizon: { transactions: 900_000, heldBy: 'session 5', heldForMs: 4 * MINUTE },
  historyListLength: 99_999,
  replicas: [{ name: 'r', state: 'streaming', lagMs: 29_000 }],
  oldestTransaction: null,
  endSession: (id) => `KILL ${id}`,
};
const of = (changes: Partial<HealthFigures>) =>
  healthFindings({ ...healthy, ...changes }).map(({ severity, text }) => `${severity}: ${text}`);
const wait = (
  waiting: RunningStatement,
  ...blockedBy: RunningStatement[]
): DatabaseHealth['lockWaits'][number] => ({ waiting, blockedBy, on: 'jobs' });

test('nothing is said of figures under their thresholds, or unknown ones', () => {
  expect(of({})).toEqual([]);
  const unknown = {
    connections: null,
    cacheHitRatio: null,
    deadRows: null,
    horizon: null,
    historyListLength: null,
    replicas: null,
    slow: [],
  };
  expect(of(unknown)).toEqual([]);
});

test.each<[string, Partial<HealthFigures>, RegExp]>([
  ['connections', { connections: { used: 88, max: 100, reserved: 3 } }, /^warning: 88 of the 97 connections/],
  ['all connections', { connections: { used: 97, max: 100, reserved: 3 } }, /^critical: 97 of the 97/],
  ['no connections at all', { connections: { used: 1, max: 0 } }, /^critical/],
  [
    'dead rows',
    { deadRows: [{ table: 'jobs', live: 30_000, dead: 10_000, lastVacuumAtMs: null }] },
    /^warning: 10,000 rows of jobs are dead \(25 %\), and it was never vacuumed.*VACUUM/,
  ],
  [
    'mostly dead rows',
    { deadRows: [{ table: 'jobs', live: 0, dead: 90_000, lastVacuumAtMs: 5 }] },
    /^critical: 90,000 rows of jobs are dead \(100 %\):/,
  ],
  [
    'a horizon',
    { horizon: { transactions: 10, heldBy: 'session 5 of app', heldForMs: 6 * MINUTE } },
    /^warning: .*last 10 transactions, because of session 5 of app for 6m 00s/,
  ],
  ['an old horizon', { horizon: { transactions: 10, heldBy: 'x', heldForMs: 61 * MINUTE } }, /^critical/],
  [
    'a slot',
    { horizon: { transactions: 1_000_000, heldBy: 'replication slot x', heldForMs: null } },
    /^warning: .*slot x\. Claims/,
  ],
  [
    'a horizon near the end',
    { horizon: { transactions: 600_000_000, heldBy: 'x', heldForMs: 1 } },
    /^critical/,
  ],
  ['history', { historyListLength: 100_000 }, /^warning: InnoDB keeps 100,000 .* left open/],
  [
    'history with its holder',
    { historyListLength: 1_000_000, oldestTransaction: session('9', 10 * MINUTE, 'Sleep') },
    /^critical: .*session 9 of app \(Sleep, 10\.0\.0\.7\), open for 10m 00s/,
  ],
  [
    'a slow statement',
    { slow: [session('3', 45_000), session('4', 40_000)] },
    /^warning: .*for 45 s, in session 3 of app/,
  ],
  [
    'a replica',
    { replicas: [{ name: 'r', state: 'catchup', lagMs: 5 * MINUTE }] },
    /^critical: Replica r \(catchup\) is 5m 00s behind/,
  ],
  [
    'a stopped replica',
    { replicas: [{ name: 'r', state: 'SQL thread stopped', lagMs: null }] },
    /^warning: Replica r does not follow: SQL/,
  ],
  ['a cold cache', { cacheHitRatio: 0.71 }, /^warning: 29 % of reads came from disk/],
])('%s', (_name, changes, text) => expect(of(changes)).toEqual([expect.stringMatching(text)]));

test('lock waits are told by who holds the lock in the end', () => {
  const chain = [
    wait(session('2', 12_000), session('1', 90_000, 'idle in transaction')),
    wait(session('3', 7_000), session('2', 12_000)),
    wait(session('4', 6_000), session('2', 12_000), session('3', 7_000)),
    wait(session('8', 4_999), session('7')),
  ];
  expect(of({ lockWaits: chain })).toEqual([
    'warning: 3 sessions wait for a lock on jobs, the longest for 12 s, held by session 1 of app (idle in transaction, 10.0.0.7). Let it commit, or end it: KILL 1.',
  ]);
  expect(of({ lockWaits: [wait(session('2', MINUTE), session('1'))] })[0]).toMatch(
    /^critical: 1 session waits/,
  );
});

test('sessions that wait in a circle, or for nobody who is known, are told or left out without end', () => {
  const circle = [wait(session('1', 9_000), session('2')), wait(session('2', 8_000), session('1'))];
  expect(of({ lockWaits: circle })).toHaveLength(2);
  expect(of({ lockWaits: [wait(session('1', 9_000))] })).toEqual([
    expect.stringMatching(/^warning: Session 1 of app .* has waited for jobs for 9\.0 s; who holds it/),
  ]);
});

test('the worst comes first', () => {
  const found = of({ cacheHitRatio: 0.5, historyListLength: THRESHOLDS.historyList.critical });
  expect(found.map((text) => text.split(':')[0])).toEqual(['critical', 'warning']);
});
