// What each path of the HTTP face does. One request in, one answer out; who may ask and how it is sent is the server's.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { HeadwayError, toWireError } from '../../../contract/errors.ts';
import type { Clock } from '../clock.ts';
import type { Enqueued } from '../job.ts';
import type { AttemptLedger } from './attempt-ledger.ts';
import type { ByteBudget } from './byte-budget.ts';
import { engineMetrics, type IntakeCounts } from './engine-metrics.ts';
import { EnqueueGroups } from './enqueue-groups.ts';
import { type Answer, json, Refusal } from './http-answer.ts';
import type { IntakeEngine, IntakeStore } from './intake-port.ts';
import { noQuerySchema, parseQuery, pushQuerySchema, takeQuerySchema } from './intake-query.ts';
import { type BatchRules, eachJobOfRows, jobsOfRows, rowsOfText } from './job-batch.ts';
import { jobOfRow, jsonOfRow } from './job-row.ts';
import { OPEN_METRICS_CONTENT_TYPE } from './open-metrics.ts';
import type { PullDesk } from './pull-desk.ts';
import { endOf, leaseOf, settleBodySchema } from './pull-protocol.ts';
import type { Leased } from './pull-takers.ts';
import { readBody } from './read-body.ts';
import { inSendersWords, type PayloadLimits } from './row-refusal.ts';

const MB = 2 ** 20;
/** One job: the largest payload a kind may allow, and room for the rest. */
const SINGLE_LIMIT_BYTES = 51 * MB;
/** Many rows, all in memory until they are stored. */
const BATCH_LIMIT_BYTES = 64 * MB;
const SETTLE_LIMIT_BYTES = 16 * MB;
/** Leaves room for "#50000". */
const LONGEST_KEY = 200;
const NDJSON = 'application/x-ndjson';

export interface IntakeRoutesParts {
  engine: IntakeEngine;
  store: IntakeStore;
  /** Null when no kind is declared as pulled. */
  desk: PullDesk | null;
  /** Kinds that wait for jobs of the same call: such a job must not be put into one call with a stranger's. */
  dependentKinds: ReadonlySet<string>;
  payloads: PayloadLimits;
  attempts: AttemptLedger;
  clock: Clock;
  /** Bytes of bodies in flight. */
  bodies: ByteBudget;
  /** The rest of what /metrics says of the intake. */
  served: Pick<IntakeCounts, 'requests' | 'answerBytes'>;
}

/** A request on its way through a route. */
export interface IntakeCall {
  request: IncomingMessage;
  response: ServerResponse;
  /** Without the question mark. */
  search: string;
  /** What follows the route's path: an id. */
  rest: string;
  /** Aborts when the client goes away. */
  gone: () => AbortSignal;
}

export interface IntakeRoute {
  /** For /metrics. */
  name: string;
  method: 'GET' | 'POST';
  /** Served while the engine stops: what ends work, and what tells. */
  whileStopping: boolean;
  answer(call: IntakeCall): Promise<Answer> | Answer;
  /** The answer never reached the client. */
  lost?(call: IntakeCall): void;
}

export class IntakeRoutes {
  readonly #parts: IntakeRoutesParts;
  readonly #groups: EnqueueGroups;
  readonly #rows = { enqueued: 0, known: 0, refused: 0 };
  /** Claims that are on their way to a client. */
  readonly #underway = new WeakMap<IncomingMessage, Leased[]>();
  readonly #byPath: ReadonlyMap<string, IntakeRoute>;

  constructor(parts: IntakeRoutesParts) {
    this.#parts = parts;
    const { engine, dependentKinds, clock } = parts;
    this.#groups = new EnqueueGroups({ enqueue: (jobs) => engine.enqueue(jobs), dependentKinds, clock });
    const route = (
      path: string,
      method: 'GET' | 'POST',
      whileStopping: boolean,
      answer: IntakeRoute['answer'],
    ): [string, IntakeRoute] => [path, { name: path, method, whileStopping, answer }];
    const take = route('/take', 'POST', false, (call) => this.#take(call));
    take[1].lost = ({ request }) => parts.desk?.giveBack(this.#underway.get(request) ?? []);
    this.#byPath = new Map([
      route('/jobs', 'POST', false, (call) => this.#push(call)),
      route('/jobs/:id', 'GET', true, (call) => this.#job(call)),
      take,
      route('/settle', 'POST', true, (call) => this.#settle(call)),
      route('/status', 'GET', true, (call) => this.#status(call)),
      route('/metrics', 'GET', true, (call) => this.#metrics(call)),
    ]);
  }

  /** The route of a path, and what follows it; null when there is none. */
  find(path: string): { route: IntakeRoute; rest: string } | null {
    const exact = this.#byPath.get(path);
    if (exact && !path.includes(':')) return { route: exact, rest: '' };
    const job = this.#byPath.get('/jobs/:id');
    return job && path.startsWith('/jobs/') ? { route: job, rest: path.slice('/jobs/'.length) } : null;
  }

  /** Rows since the start. */
  get counts(): IntakeCounts {
    const { served, bodies } = this.#parts;
    return { ...this.#rows, ...served, requestBytes: () => bodies.usedBytes };
  }

  async #push(call: IntakeCall): Promise<Answer> {
    const { each } = parseQuery(pushQuerySchema, call.search);
    const key = keyOf(call.request);
    const type = call.request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
    const { bodies } = this.#parts;
    if (type === 'application/json') {
      if (each === 'true') throw badField('each', 'is for rows: send them as application/x-ndjson');
      using body = await readBody(call.request, call.response, {
        limitBytes: SINGLE_LIMIT_BYTES,
        budget: bodies,
      });
      return await this.#pushOne(body.text, key);
    }
    if (type !== NDJSON && type !== 'application/ndjson' && type !== 'application/jsonl')
      throw new Refusal(
        415,
        new HeadwayError('bad-request', `Send a job as application/json, or rows as ${NDJSON}.`),
        { headers: { 'Accept-Post': `application/json, ${NDJSON}` }, close: true },
      );
    using body = await readBody(call.request, call.response, {
      limitBytes: BATCH_LIMIT_BYTES,
      budget: bodies,
    });
    return each === 'true' ? await this.#pushEach(body.text, key) : await this.#pushAll(body.text, key);
  }

  async #pushOne(text: string, key: string | null): Promise<Answer> {
    const job = this.#counting(1, () => {
      const parsed = jobOfRow(jsonOfRow(text));
      this.#parts.payloads.check(parsed, null, 3 * text.length);
      if (key !== null && parsed.idempotencyKey !== undefined && parsed.idempotencyKey !== key)
        throw badField('key', 'is not what the header Idempotency-Key says');
      return key === null ? parsed : { ...parsed, idempotencyKey: key };
    });
    try {
      const [enqueued] = await this.#groups.enqueue([job]);
      if (!enqueued) throw new Error('the engine left a job unanswered');
      this.#countRow(enqueued);
      this.#parts.desk?.wake();
      return json(enqueued.fresh ? 201 : 200, enqueued, { Location: `/jobs/${enqueued.id}` });
    } catch (error) {
      this.#rows.refused += 1;
      throw inSendersWords(error, () => null);
    }
  }

  async #pushAll(text: string, key: string | null): Promise<Answer> {
    const rows = rowsOfText(text);
    const jobs = this.#counting(rows.length, () => jobsOfRows(rows, this.#rules(key)));
    try {
      const enqueued = await this.#groups.enqueue(jobs);
      for (const one of enqueued) this.#countRow(one);
      this.#parts.desk?.wake();
      return json(enqueued.some(({ fresh }) => fresh) ? 201 : 200, { jobs: enqueued });
    } catch (error) {
      this.#rows.refused += rows.length;
      throw inSendersWords(error, (position) => position + 1);
    }
  }

  async #pushEach(text: string, key: string | null): Promise<Answer> {
    const rows = eachJobOfRows(rowsOfText(text), this.#rules(key));
    // Positions in the call are not rows: bad rows are left out of it.
    const sent = rows.flatMap((job, i) => (job instanceof HeadwayError ? [] : [{ row: i + 1, job }]));
    const stored = sent.length === 0 ? [] : await this.#parts.engine.enqueueEach(sent.map(({ job }) => job));
    const answers = new Map(stored.map((answer, position) => [sent[position]?.row, answer]));
    const lines = rows.map((job, i) => {
      const answer = answers.get(i + 1);
      if (answer && !(answer instanceof Error)) {
        this.#countRow(answer);
        return JSON.stringify({ row: i + 1, ...answer });
      }
      this.#rows.refused += 1;
      const error = answer
        ? inSendersWords(answer, (position) => sent[position]?.row ?? i + 1)
        : job instanceof HeadwayError
          ? job
          : new Error('the engine left a job unanswered');
      return JSON.stringify({ row: i + 1, error: toWireError(error) });
    });
    this.#parts.desk?.wake();
    return { status: 200, headers: { 'Content-Type': NDJSON }, body: `${lines.join('\n')}\n` };
  }

  /** Rows that cannot even be read count as refused. */
  #counting<T>(rows: number, read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.#rows.refused += rows;
      throw error;
    }
  }

  #rules(idempotencyKey: string | null): BatchRules {
    return { defaults: {}, idempotencyKey, limits: this.#parts.payloads };
  }

  #countRow({ fresh }: Enqueued): void {
    this.#rows[fresh ? 'enqueued' : 'known'] += 1;
  }

  async #job({ rest, search }: IntakeCall): Promise<Answer> {
    parseQuery(noQuerySchema, search);
    if (!/^\d{1,15}$/.test(rest)) throw badField('id', 'is a whole number');
    const id = Number(rest);
    const job = await this.#parts.store.job(id);
    const recent = this.#parts.engine.recentOf(id);
    if (job === null && recent.length === 0)
      throw new HeadwayError('not-found', `Job ${id} is done and forgotten, or there never was one.`);
    return json(200, { job, recent });
  }

  async #take(call: IntakeCall): Promise<Answer> {
    const { n, lease, wait, kinds } = parseQuery(takeQuerySchema, call.search);
    const leased = await this.#desk().take({
      count: n,
      leaseMs: lease * 1000,
      waitMs: wait * 1000,
      kinds,
      signal: call.gone(),
    });
    this.#underway.set(call.request, leased);
    return json(200, { claims: leased.map(({ claim, leaseMs }) => leaseOf(claim, leaseMs)) });
  }

  async #settle(call: IntakeCall): Promise<Answer> {
    parseQuery(noQuerySchema, call.search);
    const desk = this.#desk();
    const limits = { limitBytes: SETTLE_LIMIT_BYTES, budget: this.#parts.bodies };
    using body = await readBody(call.request, call.response, limits);
    const parsed = settleBodySchema.safeParse(jsonOfRow(body.text));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw badField(issue?.path.map(String).join('.') ?? 'settlements', issue?.message ?? 'cannot be read');
    }
    return json(200, { taken: await desk.settle(parsed.data.settlements.map(endOf)) });
  }

  #status({ search }: IntakeCall): Answer {
    parseQuery(noQuerySchema, search);
    return json(200, this.#parts.engine.report());
  }

  async #metrics({ search }: IntakeCall): Promise<Answer> {
    parseQuery(noQuerySchema, search);
    const { engine, desk, attempts } = this.#parts;
    // Without its store an engine still has a lot to say, and this is when it is asked.
    const stored = await engine.snapshot(0).catch(() => null);
    const body = engineMetrics({
      report: engine.report(),
      stored,
      attempts,
      intake: this.counts,
      pull: desk?.counts ?? null,
    });
    return { status: 200, headers: { 'Content-Type': OPEN_METRICS_CONTENT_TYPE }, body };
  }

  #desk(): PullDesk {
    if (this.#parts.desk) return this.#parts.desk;
    throw new HeadwayError(
      'conflict',
      'No kind is declared with the handler "pull": there is nothing to take.',
    );
  }
}

function keyOf({ headers }: IncomingMessage): string | null {
  const key = headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key !== 'string' || key === '' || key.length > LONGEST_KEY)
    throw badField('Idempotency-Key', `is one value of 1 to ${LONGEST_KEY} characters`);
  return key;
}

const badField = (field: string, what: string): HeadwayError =>
  new HeadwayError('bad-request', `${field} ${what}`, { details: { field } });
