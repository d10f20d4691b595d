// A sampler of a plain source that notes when each question was asked and what was told. For tests.
import { HeadwayError, type ErrorCode } from '../../contract/errors.ts';
import type { ConnectionState } from '../../contract/live.ts';
import { FakeClock } from './fake-clock.ts';
import { LagSampler, type SamplerOptions } from './lag-sampler.ts';
import { PlainSource, sampleAt, tenantSample, type Question } from './plain-source.ts';

const options: SamplerOptions = { pollMs: 2_000, budgetMs: 500, timeoutMs: 15_000 };
export const failure = (code: ErrorCode) => new HeadwayError(code, `it is ${code}`, { retryable: true });

export function plainSampler(changes: Partial<SamplerOptions> = {}, random = () => 1) {
  const clock = new FakeClock();
  const source = new PlainSource(() => sampleAt(clock.now(), [tenantSample('3')]));
  /** When each question was asked, and each thing told, in ms since the start. */
  const times: Record<Question, number[]> = { probe: [], tenants: [], snapshot: [] };
  const states: ConnectionState[] = [];
  const told: string[] = [];
  const startedMs = clock.now();
  source.before = (question) => {
    times[question].push(clock.now() - startedMs);
    return Promise.resolve();
  };
  const sampler = new LagSampler(
    source,
    { ...options, ...changes },
    {
      probed: () => told.push('probed'),
      tenants: () => told.push('tenants'),
      sample: () => told.push('sample'),
      state: (state) => {
        states.push(state);
        told.push(state.kind);
      },
    },
    { clock, random },
  );
  /** From now on every call for `question` fails. */
  const failing = (question: Question, code: ErrorCode) => {
    source.before = (asked) => {
      times[asked].push(clock.now() - startedMs);
      return asked === question ? Promise.reject(failure(code)) : Promise.resolve();
    };
  };
  return { clock, source, sampler, times, states, told, failing };
}

/** Between each time and the next. */
export const distances = (times: number[]) => times.slice(1).map((time, index) => time - (times[index] ?? 0));
