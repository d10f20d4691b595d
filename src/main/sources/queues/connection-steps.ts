// "Test" of a queue connection: reach the database, find the queue, poll it once. What comes after a failed step is skipped.
import { sumCounts } from '../../../core/count.ts';
import { formatCount } from '../../../core/duration.ts';
import type { ReportStep, Source } from '../source.ts';
import { StepFailed, TestSteps, type Finding } from '../test-steps.ts';

export interface QueueTestOptions {
  /** Ended by the test. */
  source: Source;
  /** Local clock, epoch ms. */
  now: () => number;
  report: ReportStep;
}

const titles = {
  'queue.connect': 'Connect and find the queue',
  'queue.tenants': 'List tenants',
  'queue.poll': 'Poll once',
} as const;

/** A clock that is off by more is worth a word. */
const CLOCK_WARNING_MS = 1_000;
/** Tenants that the detail names. */
const NAMED = 5;

/** Runs all steps and reports each; an expected failure is a failed step, never thrown. Leaves no connection behind. */
export async function testQueue(options: QueueTestOptions, signal: AbortSignal): Promise<void> {
  const steps = new TestSteps(titles, Object.keys(titles) as (keyof typeof titles)[], options);
  await using source = options.source;
  try {
    const tenantWord = await steps.take('queue.connect', () => find(source, signal));
    await steps.take('queue.tenants', () => list(source, tenantWord, signal));
    await steps.take('queue.poll', () => poll(source, signal));
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    steps.skipRest();
  }
}

async function find(source: Source, signal: AbortSignal): Promise<Finding<string>> {
  const { system, tenantWord, warnings } = await source.probe(signal);
  return { value: tenantWord, detail: [`${system}.`, ...warnings].join(' '), warning: warnings.length > 0 };
}

async function list(source: Source, tenantWord: string, signal: AbortSignal): Promise<Finding<void>> {
  const tenants = await source.tenants(signal);
  const names = tenants.slice(0, NAMED).map(({ name }) => name);
  const more = tenants.length > NAMED ? ', …' : '';
  const detail =
    tenants.length === 0
      ? `No ${tenantWord} has jobs yet.`
      : `${tenants.length} by ${tenantWord}: ${names.join(', ')}${more}`;
  return { value: undefined, detail };
}

async function poll(source: Source, signal: AbortSignal): Promise<Finding<void>> {
  const { tenants, clock, cost } = await source.snapshot(signal);
  const counted = (pick: 'ready' | 'running') =>
    formatCount(sumCounts(tenants.map((tenant) => tenant[pick])));
  const clockIsOff = Math.abs(clock.offsetMs) - clock.errorMs > CLOCK_WARNING_MS;
  const sentences = [
    `${counted('ready')} jobs ready, ${counted('running')} running; one poll takes ${cost.durationMs.toFixed(0)} ms.`,
    ...(clockIsOff
      ? [
          `The database's clock is ${(clock.offsetMs / 1_000).toFixed(1)} s off this computer's; set both by NTP.`,
        ]
      : []),
  ];
  return { value: undefined, detail: sentences.join(' '), warning: clockIsOff };
}
