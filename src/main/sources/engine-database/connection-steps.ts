// "Test" of an engine's store: reach it, find the job store in it, look for engines. What comes after a failed step is
// skipped.
import { HeadwayError } from '../../../contract/errors.ts';
import { formatCount, formatDuration } from '../../../core/duration.ts';
import { sumCounts } from '../../../core/count.ts';
import type { ReportStep } from '../source.ts';
import { StepFailed, TestSteps, type Finding } from '../test-steps.ts';
import { enginesSeen } from './engines.ts';
import type { StoreReader } from './store-reader.ts';

export interface StoreTestOptions {
  /** Opens the store for reading. Rejects with `schema-mismatch` where there is none of this version. */
  open: () => Promise<StoreReader>;
  /** Where it is, for people: a file, or a host with its port. */
  place: string;
  /** See EngineDatabaseSourceOptions. */
  isShared: boolean;
  /** Local clock, epoch ms. */
  now: () => number;
  report: ReportStep;
}

const titles = {
  'store.connect': 'Connect and authenticate',
  'store.schema': 'Find the job store',
  'store.clock': 'Compare clocks',
  'store.engines': 'Look for engines',
} as const;

/** A clock that is off by more is worth a word. */
const CLOCK_WARNING_MS = 1_000;

/** Runs all steps and reports each; an expected failure is a failed step, never thrown. Leaves no connection behind. */
export async function testStore(options: StoreTestOptions, signal: AbortSignal): Promise<void> {
  const steps = new TestSteps(titles, Object.keys(titles) as (keyof typeof titles)[], options);
  await using opened = new AsyncDisposableStack();
  try {
    const found = await steps.take('store.connect', () => connect(options, signal, opened));
    const reader = await steps.take('store.schema', () => contents(found, signal));
    const storeMs = await steps.take('store.clock', () => clock(reader, options.now, signal));
    await steps.take('store.engines', () => engines(reader, options, storeMs, signal));
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    steps.skipRest();
  }
}

/** One that was reached and holds something else is the next step's to tell. */
async function connect(
  { open, place }: StoreTestOptions,
  signal: AbortSignal,
  opened: AsyncDisposableStack,
): Promise<Finding<StoreReader | HeadwayError>> {
  const opening = open();
  // Whenever it opens, also after the test was given up, it is closed again.
  opened.defer(async () => {
    const late = opening.then((reader) => reader[Symbol.asyncDispose]()).catch(() => undefined);
    if (!signal.aborted) await late;
  });
  try {
    const reader = await unlessAborted(opening, signal);
    return { value: reader, detail: reader.description };
  } catch (error) {
    if (error instanceof HeadwayError && error.code === 'schema-mismatch')
      return { value: error, detail: place };
    throw error;
  }
}

async function contents(
  found: StoreReader | HeadwayError,
  signal: AbortSignal,
): Promise<Finding<StoreReader>> {
  if (found instanceof HeadwayError) throw found;
  const { tenants } = await unlessAborted(found.depths(0), signal);
  const counted = (pick: 'ready' | 'running' | 'dead') =>
    formatCount(sumCounts(tenants.map((tenant) => tenant[pick])));
  return {
    value: found,
    detail: `${tenants.length} tenants; ${counted('ready')} jobs ready, ${counted('running')} running, ${counted('dead')} dead.`,
  };
}

async function clock(reader: StoreReader, now: () => number, signal: AbortSignal): Promise<Finding<number>> {
  const askedMs = now();
  const storeMs = await unlessAborted(reader.time(), signal);
  const offsetMs = Math.round(storeMs - (askedMs + now()) / 2);
  const words = `${offsetMs < 0 ? '−' : '+'}${Math.abs(offsetMs)} ms against this computer.`;
  const isOff = Math.abs(offsetMs) > CLOCK_WARNING_MS;
  return {
    value: storeMs,
    detail: isOff ? `${words} Ages are told by the store's clock; set both clocks by NTP.` : words,
    warning: isOff,
  };
}

async function engines(
  reader: StoreReader,
  { isShared }: StoreTestOptions,
  storeMs: number,
  signal: AbortSignal,
): Promise<Finding<void>> {
  const { fresh, workers } = enginesSeen(await unlessAborted(reader.owners(), signal), storeMs);
  const warn = (detail: string) => ({ value: undefined, detail, warning: true });
  if (fresh.length > 0) {
    const named = fresh.map(({ owner, host, version }) => `${owner} on ${host}, Headway ${version}`);
    return { value: undefined, detail: `${named.join('; ')}. ${workers.total ?? 0} workers.` };
  }
  if (workers.lastSeenAtMs === null)
    return warn('No engine is known here. Start one: headway worker --store … --jobs FILE.');
  if (!isShared)
    return {
      value: undefined,
      detail: 'An engine has the file for itself; it tells no more while it works.',
    };
  const silentMs = Math.max(0, storeMs - workers.lastSeenAtMs);
  return warn(`The last engine was heard ${formatDuration(silentMs)} ago. Check that it runs.`);
}

/** Waits for `work` until `signal` aborts. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () =>
    aborted.reject(new HeadwayError('timeout', 'The store did not answer in time.', { retryable: true }));
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    aborted.promise.catch(() => undefined);
  }
}
