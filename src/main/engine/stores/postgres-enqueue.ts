// What is to be stored for a list of new jobs: checked, with its ids and states.
import { z } from 'zod';
import { HeadwayError } from '../../../contract/errors.ts';
import type { Enqueued, JobState, NewJob } from '../job.ts';
import { cancelled } from './ended-by-store.ts';
import { isText, numbers } from './postgres-exchange.ts';
import type { Ask } from './postgres-pool.ts';
import { idRow, keyRow, stateRow } from './postgres-records.ts';
import type { PostgresStatements } from './postgres-statements.ts';
import { DEFAULT_MAX_ATTEMPTS, IDEMPOTENCY_KEPT_MS } from './store.ts';

/** A row of the call that passed the checks which need no look at the store. */
interface Row {
  job: NewJob;
  payload: string;
  readyAtMs: number;
}
/** Of rows that depend on others, and only of these, the state is known before they are stored. */
interface Fate {
  id: number;
  state: 'waiting' | 'blocked' | 'dead' | null;
  /** The dead parent for whose sake it is cancelled. */
  diedOf: number | null;
}

const ROWS_AT_ONCE = 5_000;
const PAYLOAD_CHARS_AT_ONCE = 32 * 1024 * 1024;

const refuse = (row: number, what: string): HeadwayError =>
  new HeadwayError('bad-request', `job ${row} of the batch: ${what}; nothing was enqueued.`);

/** Rejects with `bad-request`, naming the row, for what needs no look at the store. */
export function checkedRows(jobs: readonly NewJob[], atMs: number): Row[] {
  return jobs.map((job, row) => {
    for (const field of ['tenantId', 'kind', 'batchId', 'idempotencyKey'] as const) {
      if (!isText(job[field] ?? ''))
        throw refuse(
          row,
          `${field} holds a character that PostgreSQL cannot store (U+0000 or half a character)`,
        );
    }
    for (const parent of job.dependsOn ?? []) {
      if ('row' in parent && !(Number.isInteger(parent.row) && parent.row >= 0 && parent.row < row))
        throw refuse(row, `it depends on row ${parent.row}, which is no row before it`);
    }
    let payload: string | undefined;
    try {
      // JSON.stringify answers undefined for what JSON cannot say, whatever its type tells.
      payload = JSON.stringify(job.payload);
    } catch {
      payload = undefined;
    }
    if (payload === undefined) throw refuse(row, 'payload is not JSON data');
    return { job, payload, readyAtMs: Math.max(atMs, Math.ceil(job.readyAtMs ?? atMs)) };
  });
}

/** Rows that are stored without a look at others. */
export const isPlain = ({ job }: Row): boolean =>
  job.idempotencyKey === undefined && (job.dependsOn ?? []).length === 0;

/** True where a parent may end while the row is stored: then the gate must be had alone. */
export const dependsOnStored = (rows: readonly Row[]): boolean =>
  rows.some(({ job }) =>
    (job.dependsOn ?? []).some(
      (parent) => 'id' in parent || rows[parent.row]?.job.idempotencyKey !== undefined,
    ),
  );

/** In parts, so that no statement grows without bound; each part is a statement of the caller's transaction. */
export function parts(rows: readonly Row[]): Row[][] {
  const list: Row[][] = [];
  let chars = Infinity;
  for (const row of rows) {
    const last = list.at(-1);
    chars += row.payload.length;
    if (last && last.length < ROWS_AT_ONCE && chars <= PAYLOAD_CHARS_AT_ONCE) last.push(row);
    else {
      list.push([row]);
      chars = row.payload.length;
    }
  }
  return list;
}

/** Stores rows and answers their ids; `fates` of each, or null for plain ones. */
export async function store(
  ask: Ask,
  sql: PostgresStatements,
  rows: readonly Row[],
  fates: readonly Fate[] | null,
  atMs: number,
): Promise<number[]> {
  const each = <T>(of: (row: Row) => T): T[] => rows.map(of);
  const fate = <T>(of: (fate: Fate) => T): T[] | null => fates && fates.map(of);
  const death = ({ diedOf }: Fate) =>
    diedOf === null ? null : cancelled({ attempts: 0, parentId: diedOf, nowMs: atMs });
  const [row] = await ask(sql.enqueue, [
    atMs,
    fates && numbers(fates.map(({ id }) => id)),
    fate(({ state }) => state),
    each(({ job }) => job.tenantId),
    each(({ job }) => job.kind),
    numbers(each(({ job }) => -(job.priority ?? 0))),
    numbers(each(({ readyAtMs }) => readyAtMs)),
    numbers(each(({ job }) => job.maxAttempts ?? DEFAULT_MAX_ATTEMPTS)),
    fates && each(({ job }) => job.onDeadParent ?? 'block'),
    rows.some(({ job }) => job.batchId !== undefined) ? each(({ job }) => job.batchId ?? null) : null,
    fate((one) => death(one) && JSON.stringify(death(one))),
    fate((one) => death(one) && JSON.stringify(death(one)?.failure.cause)),
    fate((one) => death(one)?.failure.class ?? null),
    `[${each(({ payload }) => payload).join(',')}]`,
  ]);
  return z.object({ ids: z.array(z.string().transform(Number)) }).parse(row).ids;
}

/**
 * Stores rows that have keys or parents, within the caller's transaction. Rejects with `bad-request`, naming the row, for
 * a parent in the dead set under `block`.
 */
export async function storeRelated(
  ask: Ask,
  sql: PostgresStatements,
  rows: readonly Row[],
  atMs: number,
): Promise<Enqueued[]> {
  const drawn = z.array(idRow).parse(await ask(sql.drawIds, [rows.length]));
  const known = await takeKeys(
    ask,
    sql,
    rows,
    drawn.map(({ id }) => id),
    atMs,
  );
  const keyOf = ({ job }: Row) =>
    job.idempotencyKey === undefined ? undefined : known.get(job.idempotencyKey);
  const ids = rows.map((row, i) => keyOf(row)?.id ?? drawn[i]?.id ?? 0);
  // Of rows with the same key the first is stored, unless the key was known before.
  const isFresh = rows.map((row, i) => (keyOf(row)?.row ?? (keyOf(row) ? null : i)) === i);

  const parentsOf = ({ job }: Row): number[] =>
    (job.dependsOn ?? []).map((parent) => ('id' in parent ? parent.id : (ids[parent.row] ?? 0)));
  const states = new Map<number, JobState>();
  const earlier = rows
    .flatMap((row, i) => (isFresh[i] ? parentsOf(row) : []))
    .concat(ids.filter((_, i) => !isFresh[i]));
  if (earlier.length > 0) {
    const seen = await ask(sql.statesOf, [numbers(earlier.filter((id) => Number.isSafeInteger(id)))]);
    for (const { id, state } of z.array(stateRow).parse(seen)) states.set(id, state);
  }

  const fresh: Row[] = [];
  const fates: Fate[] = [];
  const edges: { parent: number; child: number }[] = [];
  for (const [i, row] of rows.entries()) {
    const id = ids[i] ?? 0;
    if (!isFresh[i]) continue;
    const stored = [...new Set(parentsOf(row))].filter((parent) => states.has(parent));
    const dead = stored.find((parent) => states.get(parent) === 'dead') ?? null;
    const wish = row.job.onDeadParent ?? 'block';
    if (dead !== null && wish === 'block')
      throw refuse(
        i,
        `job ${dead}, which it depends on, is dead; requeue that one, or choose another onDeadParent`,
      );
    const left = wish === 'release' ? stored.filter((parent) => states.get(parent) !== 'dead') : stored;
    let state: Fate['state'] = null;
    if (dead !== null && wish === 'cancel') state = 'dead';
    else if (left.some((parent) => states.get(parent) === 'blocked')) state = 'blocked';
    else if (left.length > 0) state = 'waiting';
    states.set(id, state ?? 'ready');
    fresh.push(row);
    fates.push({ id, state, diedOf: state === 'dead' ? dead : null });
    edges.push(...left.map((parent) => ({ parent, child: id })));
  }

  let at = 0;
  for (const part of parts(fresh)) {
    await store(ask, sql, part, fates.slice(at, at + part.length), atMs);
    at += part.length;
  }
  if (edges.length > 0)
    await ask(sql.depend, [
      numbers(edges.map(({ parent }) => parent)),
      numbers(edges.map(({ child }) => child)),
    ]);
  return ids.map((id, i) => ({ id, fresh: isFresh[i] ?? true }));
}

/** Of each key its job, and the row of this call that took the key, if one did. */
async function takeKeys(
  ask: Ask,
  sql: PostgresStatements,
  rows: readonly Row[],
  drawn: readonly number[],
  atMs: number,
): Promise<Map<string, { id: number; row: number | null }>> {
  const first = new Map<string, { id: number; row: number | null }>();
  for (const [row, { job }] of rows.entries()) {
    const key = job.idempotencyKey;
    if (key !== undefined && !first.has(key)) first.set(key, { id: drawn[row] ?? 0, row });
  }
  if (first.size === 0) return first;
  const oldest = atMs - IDEMPOTENCY_KEPT_MS;
  await ask(sql.forgetKeys, [oldest]);
  const taken = z
    .array(z.object({ key: z.string() }))
    .parse(
      await ask(sql.takeKeys, [
        [...first.keys()],
        numbers([...first.values()].map(({ id }) => id)),
        atMs,
        oldest,
      ]),
    );
  const mine = new Set(taken.map(({ key }) => key));
  const others = [...first.keys()].filter((key) => !mine.has(key));
  if (others.length > 0)
    for (const { key, id } of z.array(keyRow).parse(await ask(sql.knownKeys, [others])))
      first.set(key, { id, row: null });
  return first;
}
