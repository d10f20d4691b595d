import { describe, expect, it } from 'vitest';
import type { ConnectionSummary } from '../contract/live.ts';
import { connectionSettingsSchema, databaseOf, type ConnectionSettings } from '../contract/settings.ts';
import { Connections } from './connections.ts';
import type { ConnectionMonitor } from './monitor/connection-monitor.ts';
import { settled } from './monitor/fake-clock.ts';
import { plainMonitor } from './monitor/plain-monitor.ts';
import { hang } from './monitor/plain-source.ts';

const never = new AbortController().signal;
const nobody = () => undefined;

function settingsOf(id: string, changes: Record<string, unknown> = {}): ConnectionSettings {
  const database = { host: 'db', user: 'headway', database: 'postal' };
  return connectionSettingsSchema.parse({ id, name: id.toUpperCase(), kind: 'postal', database, ...changes });
}

function setUp() {
  const made: string[] = [];
  const removed: string[] = [];
  const failed: [string, unknown][] = [];
  const parts = new Map<string, ReturnType<typeof plainMonitor>>();
  const broken = new Set<string>();
  const connections = new Connections(
    (settings) => {
      const { id, name } = settings;
      made.push(`${id}@${databaseOf(settings)?.host ?? ''}`);
      if (broken.has(id)) throw new Error(`cannot make ${id}`);
      const part = plainMonitor({ id, name });
      parts.set(id, part);
      return part.monitor;
    },
    (id) => removed.push(id),
    (id, error) => failed.push([id, error]),
  );
  const ids = () => connections.all().map(({ id }) => id);
  const isRunning = (monitor: ConnectionMonitor) => {
    let stopped = false;
    monitor.onStop(() => (stopped = true), never);
    return !stopped;
  };
  return { connections, made, removed, failed, parts, broken, ids, isRunning };
}

describe('Connections', () => {
  it('starts what is new, ends what is gone, starts anew what changed, and leaves the rest alone', async () => {
    const { connections, made, removed, ids, isRunning } = setUp();
    await connections.apply(['a', 'b', 'c'].map((id) => settingsOf(id)));
    const [a, b, c] = ['a', 'b', 'c'].map((id) => connections.get(id));
    if (!a || !b || !c) throw new Error('not all run');
    const moved = settingsOf('b', { database: { host: 'other', user: 'headway', database: 'postal' } });
    await connections.apply([settingsOf('d'), moved, settingsOf('c')]);
    expect(made).toEqual(['a@db', 'b@db', 'c@db', 'd@db', 'b@other']);
    expect(removed).toEqual(['a']);
    expect([a, b, c].map(isRunning)).toEqual([false, false, true]);
    expect(connections.get('c')).toBe(c);
    expect(isRunning(connections.get('b'))).toBe(true);
    // A changed one keeps its place in the list.
    expect(ids()).toEqual(['b', 'c', 'd']);
    expect(() => connections.get('a')).toThrow(expect.objectContaining({ code: 'not-found' }));
    await connections.stop();
  });

  it('keeps one running whose alert rules alone changed: they are read at every poll', async () => {
    const { connections, made } = setUp();
    await connections.apply([settingsOf('a')]);
    await connections.apply([settingsOf('a', { alerts: { lag: { warning: 5 } } })]);
    expect(made).toEqual(['a@db']);
    await connections.stop();
  });

  it('starts the others when one cannot be made, says which, and makes later changes', async () => {
    const { connections, made, failed, broken, ids } = setUp();
    broken.add('a');
    await connections.apply([settingsOf('a'), settingsOf('b')]);
    expect(ids()).toEqual(['b']);
    expect(failed).toEqual([['a', new Error('cannot make a')]]);
    broken.clear();
    await connections.apply([settingsOf('a'), settingsOf('b')]);
    expect(ids().toSorted()).toEqual(['a', 'b']);
    expect(made).toEqual(['a@db', 'b@db', 'a@db']);
    await connections.stop();
  });

  it('takes one out of the list that changed into something that cannot be made', async () => {
    const { connections, broken, failed, ids, isRunning } = setUp();
    await connections.apply([settingsOf('a')]);
    const a = connections.get('a');
    broken.add('a');
    await connections.apply([settingsOf('a', { pollSeconds: 9 })]);
    expect(ids()).toEqual([]);
    expect(isRunning(a)).toBe(false);
    expect(failed.map(([id]) => id)).toEqual(['a']);
    await connections.stop();
  });

  it('starts anew on request, and only what runs', async () => {
    const { connections, made, isRunning } = setUp();
    const settings = settingsOf('a');
    await connections.apply([settings]);
    expect(connections.runs(settings)).toBe(true);
    expect(connections.runs(settingsOf('a', { name: 'Other' }))).toBe(false);
    const before = connections.get('a');
    await connections.restart(settings);
    await connections.restart(settingsOf('b'));
    expect(made).toEqual(['a@db', 'a@db']);
    expect([isRunning(before), isRunning(connections.get('a'))]).toEqual([false, true]);
    await connections.apply([settings]);
    expect(made).toHaveLength(2);
    await connections.stop();
  });

  it('makes changes one after another, the last one last', async () => {
    const { connections, ids } = setUp();
    void connections.apply([settingsOf('a'), settingsOf('b')]);
    void connections.apply([settingsOf('b'), settingsOf('c')]);
    void connections.apply([settingsOf('d')]);
    await connections.settled();
    expect(ids()).toEqual(['d']);
    await connections.stop();
  });

  it('lets one that is slow to stop hold up no other, and keeps it in the list meanwhile', async () => {
    const { connections, parts, ids, made } = setUp();
    await connections.apply([settingsOf('a'), settingsOf('b')]);
    const gate = Promise.withResolvers<undefined>();
    const slow = parts.get('a');
    if (slow === undefined) throw new Error('a does not run');
    slow.input.stop = () => gate.promise;
    const changed = [settingsOf('a', { pollSeconds: 9 }), settingsOf('b', { pollSeconds: 9 })];
    const applying = connections.apply(changed);
    await settled();
    expect(made).toEqual(['a@db', 'b@db', 'b@db']);
    expect(ids()).toEqual(['a', 'b']);
    // Who opens it meanwhile is told to come back.
    let ended = false;
    connections.get('a').onStop(() => (ended = true), never);
    expect(ended).toBe(true);
    gate.resolve(undefined);
    await applying;
    expect(made.at(-1)).toBe('a@db');
    await connections.stop();
  });

  it('leaves what settings do not name alone, also when they use its id', async () => {
    const { connections, made, removed } = setUp();
    const { monitor } = plainMonitor({ id: 'this-computer' });
    connections.add(monitor);
    await connections.apply([settingsOf('this-computer'), settingsOf('a')]);
    await connections.apply([]);
    expect(connections.get('this-computer')).toBe(monitor);
    expect(made).toEqual(['a@db']);
    expect(removed).toEqual(['a']);
    await connections.stop();
  });

  it('tells the whole list on every change of a connection, until the follower leaves', async () => {
    const { connections, parts } = setUp();
    const told: ConnectionSummary[][] = [];
    const leaving = new AbortController();
    expect(connections.follow((summaries) => told.push(summaries), leaving.signal)).toEqual([]);
    await connections.apply([settingsOf('a'), settingsOf('b')]);
    await settled();
    const states = told.at(-1)?.map(({ id, state }) => [id, state.kind]);
    expect(states).toEqual([
      ['a', 'live'],
      ['b', 'live'],
    ]);
    const a = parts.get('a');
    if (a === undefined) throw new Error('a does not run');
    a.source.before = (_question, signal) => hang(signal);
    await connections.apply([settingsOf('b')]);
    expect(told.at(-1)?.map(({ id }) => id)).toEqual(['b']);
    leaving.abort();
    const before = told.length;
    await connections.apply([]);
    expect(told).toHaveLength(before);
    await connections.stop();
  });

  it('starts nothing after it was stopped', async () => {
    const { connections, made, ids, parts } = setUp();
    await connections.apply([settingsOf('a')]);
    void connections.apply([settingsOf('a'), settingsOf('b')]);
    await connections.stop();
    await connections.stop();
    await connections.apply([settingsOf('c')]);
    const { monitor, source } = plainMonitor();
    connections.add(monitor);
    await settled();
    expect(source.asked).toEqual([]);
    expect(made).toEqual(['a@db']);
    expect(ids()).toEqual([]);
    for (const { clock } of parts.values()) expect(clock.sleepers).toBe(0);
  });

  it('follows nobody whose signal has aborted', async () => {
    const { connections } = setUp();
    let told = 0;
    connections.follow(() => (told += 1), AbortSignal.abort());
    await connections.apply([settingsOf('a')]);
    expect(told).toBe(0);
    expect(connections.follow(nobody, never).map(({ id }) => id)).toEqual(['a']);
    await connections.stop();
  });
});
