// "Test" of an engine's store: reach it, find the job store in it, look for engines. What comes after a failed step is
// skipped.
import type { TestStep } from '../../../contract/connection-test.ts';
import { HeadwayError, toWireError } from '../../../contract/errors.ts';
import { formatCount, formatDuration } from '../../../core/duration.ts';
import { sumCounts } from '../../../core/count.ts';
import type { ReportStep } from '../source.ts';
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
type StepId = keyof typeof titles;

/** A clock that is off by more is worth a word. */
const CLOCK_WARNING_MS = 1_000;

/** Runs all steps and reports each; an expected failure is a failed step, never thrown. Leaves no connection behind. */
export async function testStore(options: StoreTestOptions, signal: AbortSignal): Promise<void> {
  const { report, now, isShared } = options;
  const rest = new Set(Object.keys(titles) as StepId[]);
  const tell = (id: StepId, change: Partial<TestStep> & Pick<TestStep, 'state'>) =>
    report({ id, title: titles[id], durationMs: null, detail: '', error: null, ...change });
  for (const id of rest) tell(id, { state: 'waiting' });
  let step: StepId = 'store.connect';
  let beganMs = now();
  const begin = (id: StepId) => {
    step = id;
    rest.delete(id);
    beganMs = now();
    tell(id, { state: 'running' });
  };
  const end = (detail: string, state: 'ok' | 'warning' = 'ok') =>
    tell(step, { state, detail, durationMs: Math.max(0, now() - beganMs) });

  let opened: StoreReader | null = null;
  const close = async () => {
    const closing = opened;
    opened = null;
    await closing?.[Symbol.asyncDispose]();
  };
  try {
    begin('store.connect');
    const opening = options.open();
    // One that opens after the test was given up is closed again.
    const given = opening.then((reader) => {
      opened = reader;
      return signal.aborted ? close() : undefined;
    });
    const reader = await unlessAborted(opening, signal).catch((error: unknown) => {
      // It was reached, and holds something else: the next step's to tell.
      if (error instanceof HeadwayError && error.code === 'schema-mismatch') {
        end(options.place);
        begin('store.schema');
      }
      given.catch(() => undefined);
      throw error;
    });
    end(reader.description);

    begin('store.schema');
    const { tenants } = await unlessAborted(reader.depths(0), signal);
    const counted = (pick: 'ready' | 'running' | 'dead') =>
      formatCount(sumCounts(tenants.map((tenant) => tenant[pick])));
    end(
      `${tenants.length} tenants, ${counted('ready')} jobs ready, ${counted('running')} running, ${counted('dead')} dead.`,
    );

    begin('store.clock');
    const askedMs = now();
    const storeMs = await unlessAborted(reader.time(), signal);
    const offsetMs = Math.round(storeMs - (askedMs + now()) / 2);
    const off = `Clock ${offsetMs < 0 ? '−' : '+'}${Math.abs(offsetMs)} ms against this computer.`;
    if (Math.abs(offsetMs) <= CLOCK_WARNING_MS) end(off);
    else end(`${off} Ages are told by the store's clock; set both clocks by NTP.`, 'warning');

    begin('store.engines');
    const owners = await unlessAborted(reader.owners(), signal);
    const { fresh, workers } = enginesSeen(owners, storeMs);
    if (fresh.length > 0)
      end(
        `${fresh.map(({ owner, host, version }) => `${owner} on ${host}, Headway ${version}`).join('; ')}. ${workers.total ?? 0} workers.`,
      );
    else if (workers.lastSeenAtMs === null)
      end('No engine is known here. Start one: headway worker --store … --jobs FILE.', 'warning');
    else if (!isShared)
      end('An engine has opened the file. It tells no more while it has the file for itself.');
    else
      end(
        `The last engine was heard ${formatDuration(Math.max(0, storeMs - workers.lastSeenAtMs))} ago. Check that it runs.`,
        'warning',
      );
  } catch (error) {
    tell(step, { state: 'failed', durationMs: Math.max(0, now() - beganMs), error: toWireError(error) });
    for (const id of rest) tell(id, { state: 'skipped' });
  } finally {
    await close();
  }
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
