// Claims that nobody will end: their engine is silent, or never heard of them. They end here, in its name.
import { z } from 'zod';
import type { Settlement } from '../job.ts';
import { lostAttempt } from './ended-by-store.ts';
import { exchangeOnPostgres, fenceOf } from './postgres-exchange.ts';
import type { Ask } from './postgres-pool.ts';
import { lostClaimRow, openClaimRow } from './postgres-records.ts';
import type { PostgresStatements } from './postgres-statements.ts';

type OpenClaim = z.infer<typeof openClaimRow>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type End = DistributiveOmit<Settlement, 'claim'>;

/**
 * Ends the claims of every owner but `except` that was last heard at `silentSinceMs` or before: the attempt counts.
 * Answers how many there were, and the jobs that are dead now. The caller has the gate alone.
 */
export async function endSilent(
  ask: Ask,
  sql: PostgresStatements,
  request: { except: string; silentSinceMs: number; nowMs: number },
): Promise<{ count: number; dead: number[] }> {
  const nowMs = Math.floor(request.nowMs);
  const silentSinceMs = Math.floor(Math.min(request.silentSinceMs, Number.MAX_SAFE_INTEGER));
  const lost = z.array(lostClaimRow).parse(await ask(sql.lost, [request.except, silentSinceMs]));
  const dead: number[] = [];
  await endAll(ask, sql, nowMs, lost, (claim): End => {
    const failed = lostAttempt({
      attempt: claim.attempts + 1,
      owner: claim.owner,
      readyAtMs: claim.ready_at,
      claimedAtMs: claim.claimed_at,
      nowMs,
    });
    if (claim.attempts + 1 < claim.max_attempts)
      return { how: 'retry', atMs: Math.max(claim.ready_at, nowMs), failed };
    dead.push(claim.id);
    return { how: 'dead', failed };
  });
  await ask(sql.forgetSilent, [request.except, silentSinceMs]);
  return { count: lost.length, dead };
}

/** What these exchanges claimed goes back, as if they had never been made. The caller has the gate alone. */
export async function giveBack(ask: Ask, sql: PostgresStatements, calls: readonly string[]): Promise<void> {
  const claims = z.array(openClaimRow).parse(await ask(sql.ofCalls, [calls]));
  await endAll(ask, sql, 0, claims, () => ({ how: 'returned' }));
}

async function endAll<T extends OpenClaim>(
  ask: Ask,
  sql: PostgresStatements,
  nowMs: number,
  claims: readonly T[],
  how: (claim: T) => End,
): Promise<void> {
  for (const [owner, own] of Map.groupBy(claims, (claim) => claim.owner)) {
    const settlements = own.map((claim): Settlement => ({
      // Neither tenant nor kind is asked for.
      claim: { id: claim.id, fence: fenceOf(claim.lease, claim.place), tenantId: '', kind: '' },
      ...how(claim),
    }));
    const request = { owner, settlements, take: null, eligible: [], cursor: null, nowMs };
    await exchangeOnPostgres(ask, sql, request, { call: '', fold: false });
  }
}
