// `headway enqueue`: jobs from the command line or from NDJSON on standard input into a store, with or without an engine
// beside it.
import { once } from 'node:events';
import { HeadwayError, toWireError } from '../../contract/errors.ts';
import { jobKindSchema } from '../../contract/job-kinds.ts';
import type { EngineKind } from '../engine/engine-parts.ts';
import { Enqueuer } from '../engine/enqueuer.ts';
import { type BatchRules, eachJobOfRows, jobsOfRows, MOST_ROWS } from '../engine/intake/job-batch.ts';
import { jobOfRow, jsonOfRow, type RowDefaults } from '../engine/intake/job-row.ts';
import { NdjsonLines } from '../engine/intake/ndjson-lines.ts';
import { inSendersWords, PayloadLimits } from '../engine/intake/row-refusal.ts';
import type { Enqueued, NewJob } from '../engine/job.ts';
import type { Store } from '../engine/stores/store.ts';
import { EXIT, type ExitCode, exitWith, StoreFailure } from './exit-codes.ts';
import { type JobStoreOptions, openJobStore } from './job-store.ts';
import { readJobsFile } from './jobs-file.ts';

export interface EnqueueOptions extends JobStoreOptions {
  kind?: string;
  tenant?: string;
  payload?: string;
  jobs?: string;
  priority?: number;
  at?: string;
  key?: string;
  batch?: string;
  each: boolean;
}

const MB = 2 ** 20;
/** A row: the largest payload, and room for the rest. */
const LONGEST_ROW_BYTES = 51 * MB;
/** Rows that go all or none are one transaction, and in memory until then. */
const MOST_BYTES = 64 * MB;
/** Rows that are answered one by one go in pieces of this size, however many there are. */
const PIECE = { rows: 500, bytes: 4 * MB };

export async function enqueue(options: EnqueueOptions): Promise<void> {
  await exitWith(() => run(options));
}

async function run(options: EnqueueOptions): Promise<ExitCode> {
  const defaults = defaultsOf(options);
  if (options.payload !== undefined && options.each)
    throw new HeadwayError('bad-request', '--each is for rows on standard input; leave --payload out');
  // Before the store is opened: what is wrong with the rows needs no store to be told.
  const declared = options.jobs === undefined ? null : (await readJobsFile(options.jobs)).settings.kinds;
  const single = options.payload === undefined ? null : [singleJob(options.payload, options, defaults)];
  const rules: BatchRules = {
    defaults,
    idempotencyKey: options.key ?? null,
    limits: new PayloadLimits(new Map(declared?.map((kind) => [kind.kind, kind.payloadLimitMegabytes]))),
  };
  const jobs = single ?? (options.each ? null : jobsOfRows(await allRows(process.stdin), rules));
  await using store = await open(options);
  const target = new Target(store, declared?.map(stubOf) ?? null);
  if (jobs === null) return await enqueueEach(target, rules);
  const enqueued = await target.all(jobs, (position) => (single ? null : position + 1));
  for (const [i, one] of enqueued.entries()) await say(single ? one : { row: i + 1, ...one });
  return EXIT.ok;
}

/** One process at a time works on a SQLite file; an engine that does has another way in. */
async function open(options: EnqueueOptions): Promise<Store> {
  try {
    return await openJobStore(options);
  } catch (error) {
    const cause = error instanceof StoreFailure ? error.cause : null;
    if (!(cause instanceof HeadwayError) || cause.code !== 'conflict') throw error;
    const words = `${cause.message} A SQLite file has room for one: send the jobs to the engine that runs, by its HTTP intake (headway worker --http, POST /jobs).`;
    throw new StoreFailure(error instanceof Error ? error.message : '', {
      cause: new HeadwayError('conflict', words, { cause }),
    });
  }
}

/** Where jobs go: checked against the declared kinds, or against the shipped defaults where none are declared. */
class Target {
  readonly #store: Store;
  readonly #declared: EngineKind[] | null;

  constructor(store: Store, declared: EngineKind[] | null) {
    this.#store = store;
    this.#declared = declared;
  }

  async all(jobs: NewJob[], rowOf: (position: number) => number | null): Promise<Enqueued[]> {
    try {
      return await this.#enqueuer(jobs).all(jobs);
    } catch (error) {
      throw refusalOf(inSendersWords(error, rowOf));
    }
  }

  async each(jobs: NewJob[]): Promise<(Enqueued | HeadwayError)[]> {
    try {
      return await this.#enqueuer(jobs).each(jobs);
    } catch (error) {
      throw refusalOf(error);
    }
  }

  #enqueuer(jobs: readonly NewJob[]): Enqueuer {
    const names = new Set(jobs.map(({ kind }) => kind));
    const kinds =
      this.#declared ??
      [...names].map((kind) => stubOf(jobKindSchema.parse({ kind, handler: { type: 'pull' } })));
    const store = async (rows: readonly NewJob[]): Promise<Enqueued[]> =>
      await this.#store.enqueue(rows, await this.#store.time());
    return new Enqueuer({ store }, kinds);
  }
}

/** What is no refusal of a row is the store's failure. */
function refusalOf(error: unknown): unknown {
  const isRefusal =
    error instanceof HeadwayError && ['bad-request', 'conflict', 'budget-exceeded'].includes(error.code);
  return isRefusal ? error : new StoreFailure('the store failed', { cause: error });
}

/** Only its policy is asked for: nothing runs here. */
function stubOf({ handler: _, ...policy }: EngineKind['policy'] & { handler?: unknown }): EngineKind {
  const run = (): Promise<never> => Promise.reject(new Error('nothing runs here'));
  return { policy, handler: { kind: policy.kind, runsIn: 'engine', run } };
}

/** Every row is answered on its own line, in order; a piece at a time, so that any number of rows goes through. */
async function enqueueEach(target: Target, rules: BatchRules): Promise<ExitCode> {
  let before = 0;
  let refused = 0;
  for await (const rows of piecesOf(process.stdin, PIECE)) {
    const parsed = eachJobOfRows(rows, rules, before);
    const answers = await target.each(parsed.filter((job): job is NewJob => !(job instanceof HeadwayError)));
    let next = 0;
    for (const [i, job] of parsed.entries()) {
      const row = before + i + 1;
      const answer = job instanceof HeadwayError ? job : answers[next++];
      if (answer instanceof HeadwayError) {
        refused += 1;
        await say({ row, error: toWireError(answer === job ? answer : inSendersWords(answer, () => row)) });
      } else await say({ row, ...answer });
    }
    before += rows.length;
  }
  if (before === 0) throw new HeadwayError('bad-request', 'there are no rows on standard input');
  return refused > 0 ? EXIT.failed : EXIT.ok;
}

async function allRows(input: AsyncIterable<Buffer>): Promise<string[]> {
  const all: string[] = [];
  let bytes = 0;
  for await (const rows of piecesOf(input, PIECE)) {
    for (const row of rows) bytes += row.length;
    all.push(...rows);
    if (all.length > MOST_ROWS || bytes > MOST_BYTES)
      throw new HeadwayError(
        'budget-exceeded',
        `These are more than ${MOST_ROWS} rows or ${MOST_BYTES / MB} MB, too much for one transaction. ` +
          'Send them in parts, or with --each, which stores and answers row by row.',
      );
  }
  if (all.length === 0) throw new HeadwayError('bad-request', 'there are no rows on standard input');
  return all;
}

/** The rows of an input in pieces. `bad-request` for a row that never ends and for bytes that are no text. */
async function* piecesOf(
  input: AsyncIterable<Buffer>,
  most: { rows: number; bytes: number },
): AsyncGenerator<string[]> {
  const lines = new NdjsonLines(LONGEST_ROW_BYTES);
  let rows: string[] = [];
  let size = 0;
  try {
    for await (const chunk of input) {
      for (const row of lines.push(chunk)) {
        rows.push(row);
        size += row.length;
        if (rows.length < most.rows && size < most.bytes) continue;
        yield rows;
        rows = [];
        size = 0;
      }
    }
    rows.push(...lines.end());
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    throw new HeadwayError('bad-request', `standard input: ${error.message}`, { cause: error });
  }
  if (rows.length > 0) yield rows;
}

function defaultsOf({ kind, tenant, batch, priority, at }: EnqueueOptions): RowDefaults {
  const atMs = at === undefined ? undefined : Date.parse(at);
  if (atMs !== undefined && !(/T.*(Z|[+-]\d\d:?\d\d)$/.test(at ?? '') && Number.isFinite(atMs)))
    throw new HeadwayError(
      'bad-request',
      `--at ${at ?? ''}: use ISO 8601 with an offset: 2026-03-01T09:00:00Z`,
    );
  return { kind, tenant, batch, priority, atMs };
}

/** The one job of --payload, checked like a row. */
function singleJob(payload: string, { key }: EnqueueOptions, defaults: RowDefaults): NewJob {
  let value: unknown;
  try {
    value = jsonOfRow(payload);
  } catch (error) {
    throw error instanceof HeadwayError
      ? new HeadwayError('bad-request', error.message.replace('the body', '--payload'), { cause: error })
      : error;
  }
  return jobOfRow(key === undefined ? { payload: value } : { payload: value, key }, defaults);
}

/** One line of JSON on standard output, as fast as its reader takes it. */
async function say(value: object | undefined): Promise<void> {
  if (!process.stdout.write(`${JSON.stringify(value)}\n`)) await once(process.stdout, 'drain');
}
