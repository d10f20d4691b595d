import { describe, expect, it } from 'vitest';
import type { ConnectionTest, TestStep } from '../contract/connection-test.ts';
import { HeadwayError } from '../contract/errors.ts';
import { connectionSettingsSchema } from '../contract/settings.ts';
import { ConnectionTester, type TestPart } from './connection-tester.ts';
import { settled } from './monitor/fake-clock.ts';
import { hang } from './monitor/plain-source.ts';

const never = new AbortController().signal;
const connection = connectionSettingsSchema.parse({
  id: 'a',
  name: 'a',
  kind: 'postal',
  database: { host: 'db', user: 'headway', database: 'postal' },
});
const step = (id: string, state: TestStep['state']): TestStep => ({
  id,
  title: id,
  state,
  durationMs: null,
  detail: '',
  error: null,
});

function run(parts: TestPart[], signal = never) {
  const told: ConnectionTest[] = [];
  const first = new ConnectionTester(parts).start(
    connection,
    { key: 'geheim' },
    (test) => told.push(test),
    signal,
  );
  const states = () =>
    told.map(({ done, steps }) => [done, ...steps.map(({ id, state }) => `${id} ${state}`)]);
  return { first, told, states };
}

describe('ConnectionTester', () => {
  it('tells every step when it begins and when it ends, one part after the other, and then that it is done', async () => {
    const gate = Promise.withResolvers<undefined>();
    const { first, states } = run([
      async (_connection, _secrets, report) => {
        report(step('resolve', 'running'));
        await gate.promise;
        report(step('resolve', 'ok'));
      },
      (_connection, _secrets, report) => {
        report(step('ssh', 'warning'));
        return Promise.resolve();
      },
    ]);
    expect(first.done).toBe(false);
    await settled();
    expect(states()).toEqual([[false, 'resolve running']]);
    gate.resolve(undefined);
    await settled();
    expect(states().slice(1)).toEqual([
      [false, 'resolve ok'],
      [false, 'resolve ok', 'ssh warning'],
      [true, 'resolve ok', 'ssh warning'],
    ]);
  });

  it('hands the draft and its secrets to every part', async () => {
    const seen: unknown[] = [];
    const part: TestPart = (...[draft, secrets]) => {
      seen.push(draft, secrets);
      return Promise.resolve();
    };
    run([part, part]);
    await settled();
    expect(seen).toEqual([connection, { key: 'geheim' }, connection, { key: 'geheim' }]);
  });

  it('makes a part that fails a step of its own, and runs the next', async () => {
    const { told } = run([
      () => Promise.reject(new HeadwayError('secret-missing', 'No value for the password.')),
      (_connection, _secrets, report) => {
        report(step('ssh', 'ok'));
        return Promise.resolve();
      },
    ]);
    await settled();
    expect(told.at(-1)).toMatchObject({
      done: true,
      steps: [
        {
          id: 'part.0',
          state: 'failed',
          error: { code: 'secret-missing', message: 'No value for the password.' },
        },
        { id: 'ssh', state: 'ok' },
      ],
    });
  });

  it('stops when the window closes it: tells nothing more and begins no further part', async () => {
    const closing = new AbortController();
    const begun: string[] = [];
    const { told } = run(
      [
        async (_connection, _secrets, report, signal) => {
          begun.push('first');
          report(step('resolve', 'running'));
          await hang(signal).catch(() => report(step('resolve', 'failed')));
        },
        () => {
          begun.push('second');
          return Promise.resolve();
        },
      ],
      closing.signal,
    );
    await settled();
    closing.abort();
    await settled();
    expect(begun).toEqual(['first']);
    expect(told).toHaveLength(1);
  });
});
