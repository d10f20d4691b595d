// One exchange as PostgreSQL is asked for it, and its answer as claims in their order.
import { z } from 'zod';
import type { Claim, Settlement } from '../job.ts';
import { ENDS, PLACES, type LeasedJob } from './postgres-claim-functions.ts';
import type { Ask } from './postgres-pool.ts';
import type { PostgresStatements } from './postgres-statements.ts';
import type { Exchange } from './store.ts';

/** Numbers as PostgreSQL writes an array: pg itself would quote each of them. */
export const numbers = (list: readonly (number | null)[]): string =>
  `{${list.map((one) => one ?? 'NULL').join(',')}}`;

/** A name that text of PostgreSQL can hold: U+0000 it cannot, and half a character would be changed. */
export const isText = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

export const fenceOf = (lease: number, place: number): number => lease * PLACES + place;

const answerRow = z.object({
  refused: z.array(z.int()).nullable(),
  lease: z.string().nullable(),
  jobs: z.string().nullable(),
});

/** What the store adds to an exchange: `call` names it, should its answer be lost. */
interface Occasion {
  call: string;
  fold: boolean;
}

/** Runs one exchange; it is one statement. Dead jobs' dependants are the caller's, in the same transaction. */
export async function exchangeOnPostgres(
  ask: Ask,
  sql: PostgresStatements,
  request: Exchange,
  { call, fold }: Occasion,
): Promise<{ taken: boolean[]; claims: Claim[] }> {
  const { owner, settlements, take, eligible, cursor, nowMs } = request;
  const atMs = Math.floor(nowMs);
  const ends = endsOf(settlements);
  const takes = take?.order === 'turns' ? take.takes.filter(({ count }) => count > 0) : null;
  const turns = takes !== null && takes.length > 0 ? takes : null;
  const [row] = await ask(sql.exchange, [
    ...[owner, call, atMs],
    ...ends.parameters,
    turns?.map(({ tenantId }) => tenantId) ?? null,
    turns ? numbers(turns.map(({ count }) => count)) : null,
    take?.order === 'first-come' ? take.count : 0,
    eligible.map(({ kind }) => kind),
    numbers(eligible.map(({ limit }) => limit)),
    cursor,
    fold,
  ]);
  const { refused, lease, jobs } = answerRow.parse(row);
  const taken = ends.taken(refused ?? []);
  if (lease === null || jobs === null) return { taken, claims: [] };
  // Written by our own function of this version, and checked there by its columns.
  const leased = JSON.parse(jobs) as LeasedJob[];
  const claims = leased.map((job, i) => claimOf(job, fenceOf(Number(lease), i + 1), atMs));
  return { taken, claims: turns ? inTurns(claims, turns) : claims.sort((a, b) => a.id - b.id) };
}

function claimOf(job: LeasedJob, fence: number, atMs: number): Claim {
  return {
    id: job[0],
    fence,
    tenantId: job[1],
    kind: job[2],
    payload: job[10],
    priority: job[3],
    batchId: job[4],
    attempt: job[5] + 1,
    maxAttempts: job[6],
    createdAtMs: job[7],
    readyAtMs: job[8],
    claimedAtMs: atMs,
  };
}

const byOrder = (a: Claim, b: Claim): number =>
  b.priority - a.priority || a.readyAtMs - b.readyAtMs || a.id - b.id;

/** The first of each tenant, then the second of each: the table's order, in which they come, says nothing. */
function inTurns(claims: Claim[], turns: readonly { tenantId: string }[]): Claim[] {
  if (turns.length === 1) return claims.sort(byOrder);
  const queues = new Map(turns.map(({ tenantId }): [string, Claim[]] => [tenantId, []]));
  for (const claim of claims) queues.get(claim.tenantId)?.push(claim);
  const lists = [...queues.values()].filter((list) => list.length > 0);
  for (const list of lists) if (list.length > 1) list.sort(byOrder);
  const ordered: Claim[] = [];
  for (let turn = 0; ordered.length < claims.length; turn++)
    for (const list of lists) {
      const claim = list[turn];
      if (claim) ordered.push(claim);
    }
  return ordered;
}

/** The settlements as parameters, those of one lease together; and which of them counted, in their own order. */
function endsOf(settlements: readonly Settlement[]) {
  const seen = new Set<string>();
  const asked: { row: number; lease: number; place: number; settlement: Settlement }[] = [];
  for (const [row, settlement] of settlements.entries()) {
    const { id, fence } = settlement.claim;
    // A claim ends once; what no fence can be is refused here.
    const name = `${id}:${fence}`;
    if (seen.has(name) || !Number.isSafeInteger(id) || id < 1 || !Number.isSafeInteger(fence) || fence < 1)
      continue;
    seen.add(name);
    asked.push({ row, lease: Math.floor(fence / PLACES), place: fence % PLACES, settlement });
  }
  asked.sort((a, b) => a.lease - b.lease || a.place - b.place);
  const every = <T>(of: (end: Settlement) => T): T[] => asked.map(({ settlement }) => of(settlement));
  const isAllDone = settlements.every(({ how }) => how === 'done');
  const failedOf = (end: Settlement) => ('failed' in end ? end.failed : null);
  return {
    parameters: [
      numbers(asked.map(({ lease }) => lease)),
      numbers(asked.map(({ place }) => place)),
      numbers(every(({ claim }) => claim.id)),
      ...(isAllDone
        ? [null, null, null, null, null]
        : [
            numbers(every(({ how }) => ENDS[how])),
            numbers(every((end) => (end.how === 'retry' ? Math.ceil(end.atMs) : null))),
            every((end) => failedOf(end) && JSON.stringify(failedOf(end))),
            every((end) => (end.how === 'dead' ? JSON.stringify(end.failed.failure.cause) : null)),
            every((end) => (end.how === 'dead' ? end.failed.failure.class : null)),
          ]),
    ],
    /** `refused`: places in the parameters, from 1. */
    taken: (refused: readonly number[]): boolean[] => {
      const taken = settlements.map(() => false);
      const not = new Set(refused);
      for (const [i, { row }] of asked.entries()) taken[row] = !not.has(i + 1);
      return taken;
    },
  };
}
