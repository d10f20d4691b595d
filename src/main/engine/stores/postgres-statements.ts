// The statements of the PostgreSQL store, each with the index it walks. What must be one round trip is a function
// (postgres-functions.ts).
import type { LeasedJob } from './postgres-claim-functions.ts';
import { gate } from './postgres-function-parts.ts';
import type { Statement } from './postgres-pool.ts';
import { FAILED_ATTEMPTS_KEPT } from './store.ts';

const placeOf = (name: keyof typeof PLACE): number => PLACE[name];
/** Places in a leased job. */
const PLACE = {
  id: 0,
  tenant: 1,
  kind: 2,
  priority: 3,
  batch: 4,
  attempts: 5,
  max: 6,
  created: 7,
  ready: 8,
  failed: 9,
  payload: 10,
} as const satisfies Record<string, keyof LeasedJob>;

const state = `state, tenant_id, kind, -rank AS priority, batch_id, attempts, max_attempts, created_at, ready_at, failed`;

export function postgresStatements(s: string) {
  const leased = `FROM ${s}.lease AS l,
    ROWS FROM (json_array_elements(l.jobs::json), unnest(l.ids)) WITH ORDINALITY AS e (j, id, place)`;
  const texts = {
    time: `SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now`,
    gateAlone: `SELECT ${gate(s, 'alone')}`,
    gateShared: `SELECT ${gate(s, 'shared')}`,

    ready: `SELECT ${s}.ready($1, $2, $3) AS tenants`,
    exchange: `SELECT o_refused AS refused, o_lease::text AS lease, o_jobs AS jobs
      FROM ${s}.exchange($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`,
    enqueue: `SELECT ${s}.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)::text[] AS ids`,
    promoteDue: `SELECT ${s}.promote_due($1, 1000)::text AS next`,
    fold: `SELECT ${s}.fold()`,
    // delta_pkey backwards
    cursor: `SELECT coalesce(
      (SELECT cursor FROM ${s}.delta WHERE cursor IS NOT NULL ORDER BY id DESC LIMIT 1),
      (SELECT cursor FROM ${s}.circle)) AS cursor`,

    drawIds: `SELECT nextval('${s}.job_id')::text AS id FROM generate_series(1, $1::int)`,
    // idempotency_at; then idempotency_pkey in order, so that two callers never wait for each other
    forgetKeys: `DELETE FROM ${s}.idempotency WHERE key = ANY(ARRAY(
      SELECT key FROM ${s}.idempotency WHERE at < $1 ORDER BY at LIMIT 1000 FOR UPDATE SKIP LOCKED))`,
    takeKeys: `INSERT INTO ${s}.idempotency AS known (key, job_id, at)
      SELECT key, job_id, $3 FROM unnest($1::text[], $2::bigint[]) AS fresh (key, job_id) ORDER BY key COLLATE "C"
      ON CONFLICT (key) DO UPDATE SET job_id = excluded.job_id, at = excluded.at WHERE known.at < $4
      RETURNING key`,
    knownKeys: `SELECT key, job_id::text AS id FROM ${s}.idempotency WHERE key = ANY($1)`,
    // primary keys; there are few leases
    statesOf: `SELECT id::text, 'ready' AS state FROM ${s}.job WHERE id = ANY($1::bigint[])
      UNION ALL SELECT id::text, state FROM ${s}.parked WHERE id = ANY($1::bigint[])
      UNION ALL SELECT i::text, 'running' FROM ${s}.lease, unnest(ids) AS i WHERE i = ANY($1::bigint[])`,
    depend: `INSERT INTO ${s}.dependency (parent_id, child_id)
      SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT DO NOTHING`,

    // dependency_pkey: those that wait for one of the dead and what they would have become of them
    childrenOf: `SELECT p.id::text, p.on_dead_parent AS wish, p.attempts, min(d.parent_id)::text AS parent
      FROM ${s}.dependency AS d JOIN ${s}.parked AS p ON p.id = d.child_id
      WHERE d.parent_id = ANY($1::bigint[]) AND p.state IN ('waiting', 'blocked')
      GROUP BY p.id`,
    cancel: `UPDATE ${s}.parked AS p SET state = 'dead', died_at = $4, cause = c.cause, class = $5,
        failed = (ARRAY[c.failed] || p.failed)[1:${FAILED_ATTEMPTS_KEPT}]
      FROM unnest($1::bigint[], $2::text[], $3::text[]) AS c (id, failed, cause) WHERE p.id = c.id`,
    // dependency_pkey, dependency_child
    partFrom: `DELETE FROM ${s}.dependency WHERE parent_id = ANY($1::bigint[]) AND child_id = ANY($2::bigint[])`,
    partFromAll: `DELETE FROM ${s}.dependency WHERE child_id = ANY($1::bigint[])`,
    free: `SELECT ${s}.free($1::bigint[], $2)`,
    judgeBlocked: `SELECT ${s}.judge_blocked($1::bigint[])`,
    // Dead children no longer wait for what is removed; the others wait for ever.
    loseParents: `WITH parted AS (DELETE FROM ${s}.dependency AS d USING ${s}.parked AS p
        WHERE d.parent_id = ANY($1::bigint[]) AND p.id = d.child_id AND p.state = 'dead' RETURNING 1)
      UPDATE ${s}.dependency AS d SET lost = true FROM ${s}.parked AS p
      WHERE d.parent_id = ANY($1::bigint[]) AND p.id = d.child_id AND p.state <> 'dead'`,
    removeDead: `DELETE FROM ${s}.parked WHERE id = ANY($1::bigint[])`,
    // What waited for others waits again; the rest is ready.
    requeue: `WITH pending AS (
        UPDATE ${s}.parked AS p SET state = 'waiting', attempts = 0, ready_at = $2, died_at = NULL, cause = NULL, class = NULL
        WHERE p.id = ANY($1::bigint[]) AND EXISTS (SELECT FROM ${s}.dependency WHERE child_id = p.id)
      ), freed AS (
        DELETE FROM ${s}.parked AS p
        WHERE p.id = ANY($1::bigint[]) AND NOT EXISTS (SELECT FROM ${s}.dependency WHERE child_id = p.id) RETURNING p.*
      )
      INSERT INTO ${s}.job (id, tenant_id, kind, rank, ready_at, created_at, attempts, max_attempts, batch_id, failed, payload)
      SELECT id, tenant_id, kind, rank, $2, created_at, 0, max_attempts, batch_id, failed, payload FROM freed`,
    waitingChildren: `SELECT DISTINCT child_id::text AS id FROM ${s}.dependency WHERE parent_id = ANY($1::bigint[])`,

    beat: `INSERT INTO ${s}.owner AS o (id, beat_at, report) VALUES ($1, $2, $3)
      ON CONFLICT (id) DO UPDATE SET beat_at = greatest(o.beat_at, excluded.beat_at), report = excluded.report`,
    leave: `DELETE FROM ${s}.owner WHERE id = $1`,
    owners: `SELECT id, beat_at::text, report FROM ${s}.owner`,
    // There are few leases.
    lost: `SELECT l.owner, l.id::text AS lease, e.place::int, e.id::text, l.claimed_at::text,
        (e.j->>${placeOf('attempts')})::int AS attempts, (e.j->>${placeOf('max')})::int AS max_attempts,
        e.j->>${placeOf('ready')} AS ready_at
      ${leased}
      WHERE e.id <> 0 AND l.owner <> $1
        AND NOT EXISTS (SELECT FROM ${s}.owner AS o WHERE o.id = l.owner AND o.beat_at > $2)
      ORDER BY l.owner, l.id, e.place`,
    ofCalls: `SELECT l.owner, l.id::text AS lease, p.place::int, p.id::text AS id
      FROM ${s}.lease AS l, unnest(l.ids) WITH ORDINALITY AS p (id, place)
      WHERE p.id <> 0 AND l.call = ANY($1) ORDER BY l.owner, l.id, p.place`,
    forgetSilent: `DELETE FROM ${s}.owner WHERE id <> $1 AND beat_at <= $2`,

    holds: `SELECT tenant_id, kind, mode, by, reason, since::text FROM ${s}.hold ORDER BY tenant_id NULLS FIRST, kind NULLS FIRST`,
    hold: `INSERT INTO ${s}.hold (tenant_id, kind, mode, by, reason, since) VALUES ($1, $2, $3, $4, $5, $6)`,
    unhold: `DELETE FROM ${s}.hold WHERE tenant_id IS NOT DISTINCT FROM $1 AND kind IS NOT DISTINCT FROM $2 RETURNING 1 AS gone`,

    // primary keys; there are few leases
    jobs: `WITH found AS (
        SELECT id, 'ready' AS state, ${state.replace('state, ', '')}, payload, NULL::bigint AS claimed_at, NULL AS owner
        FROM ${s}.job WHERE id = ANY($1::bigint[])
        UNION ALL
        SELECT id, ${state}, payload, NULL, NULL FROM ${s}.parked WHERE id = ANY($1::bigint[])
        UNION ALL
        SELECT e.id, 'running', e.j->>1, e.j->>2, (e.j->>3)::int, e.j->>4, (e.j->>5)::int, (e.j->>6)::int,
          (e.j->>7)::bigint, (e.j->>8)::bigint,
          CASE WHEN json_typeof(e.j->9) = 'array' THEN ARRAY(SELECT json_array_elements_text(e.j->9)) END,
          (e.j->10)::text, l.claimed_at, l.owner
        ${leased} WHERE l.ids && $1::bigint[] AND e.id = ANY($1::bigint[])
      )
      SELECT id::text, state, tenant_id, kind, priority, batch_id, attempts, max_attempts, created_at::text, ready_at::text,
        failed, claimed_at::text, owner, octet_length(payload) AS payload_bytes,
        ARRAY(SELECT parent_id::text FROM ${s}.dependency WHERE child_id = found.id ORDER BY parent_id) AS waits_for
      FROM found ORDER BY found.id`,
    payload: `SELECT left(payload, $2) AS text FROM ${s}.job WHERE id = $1
      UNION ALL SELECT left(payload, $2) FROM ${s}.parked WHERE id = $1
      UNION ALL SELECT left((e.j->10)::text, $2) ${leased} WHERE l.ids && ARRAY[$1::bigint] AND e.id = $1`,
    // parked_cause
    deadGroups: `SELECT kind, cause, count(*)::text AS count, max(died_at)::text AS last_at,
        (array_agg(failed[1] ORDER BY id DESC))[1] AS example
      FROM ${s}.parked WHERE state = 'dead' GROUP BY kind, cause ORDER BY count(*) DESC, kind, cause LIMIT $1`,
    // parked_state or parked_cause, by what is asked for; ordered like the front
    parkedIds: `SELECT id::text FROM ${s}.parked
      WHERE state = $1 AND id > $2 AND ($4::text IS NULL OR tenant_id = $4) AND ($5::text IS NULL OR kind = $5)
        AND ($6::text IS NULL OR cause = $6) AND ($7::bigint[] IS NULL OR id = ANY($7))
      ORDER BY parked.id LIMIT $3`,
    // dependency_child upwards: the dead or removed one that is nearest
    culprits: `WITH RECURSIVE above AS (
        SELECT b AS job_id, b AS at, 0 AS depth FROM unnest($1::bigint[]) AS b
        UNION
        SELECT a.job_id, d.parent_id, a.depth + 1 FROM above AS a JOIN ${s}.dependency AS d ON d.child_id = a.at
        WHERE a.depth = 0 OR EXISTS (SELECT FROM ${s}.parked WHERE id = a.at AND parked.state IN ('waiting', 'blocked'))
      )
      SELECT DISTINCT ON (a.job_id) a.job_id::text, a.at::text AS ancestor_id FROM above AS a
      WHERE a.depth > 0 AND (EXISTS (SELECT FROM ${s}.parked WHERE id = a.at AND state = 'dead')
        OR EXISTS (SELECT FROM ${s}.dependency WHERE parent_id = a.at AND lost))
      ORDER BY a.job_id, a.depth, a.at`,

    // What was counted, plus what has changed since; job_lane for the oldest, one step a kind and priority; few leases.
    depths: `WITH RECURSIVE counted AS (
        SELECT id, sum(ready) AS ready, sum(delayed) AS delayed, sum(waiting) AS waiting, sum(blocked) AS blocked, sum(dead) AS dead,
          sum(arrivals) AS arrivals, sum(claimed) AS claimed, sum(returned) AS returned, max(started_at) AS started_at
        FROM (SELECT * FROM ${s}.tenant UNION ALL
          SELECT c.*, CASE WHEN c.claimed > 0 THEN f.started_at END FROM ${s}.delta AS f,
            unnest(f.tenants, f.ready, f.delayed, f.waiting, f.blocked, f.dead, f.arrivals, f.claimed, f.returned) AS c (id, ready, delayed, waiting, blocked, dead, arrivals, claimed, returned)
        ) AS parts GROUP BY id
      ), running AS (
        SELECT e.j->>${placeOf('tenant')} AS id, count(*) AS running, min(l.claimed_at) AS oldest_running_at
        ${leased} WHERE e.id <> 0 GROUP BY 1
      ), heads AS (
        SELECT c.id AS tenant_id, h.* FROM counted AS c, LATERAL (
          SELECT kind, rank, ready_at, job.id, created_at FROM ${s}.job WHERE c.ready > 0 AND tenant_id = c.id
          ORDER BY kind, rank, ready_at, job.id LIMIT 1) AS h
        UNION ALL
        SELECT heads.tenant_id, n.* FROM heads, LATERAL (
          SELECT kind, rank, ready_at, job.id, created_at FROM ${s}.job
          WHERE tenant_id = heads.tenant_id AND (kind, rank) > (heads.kind, heads.rank)
          ORDER BY kind, rank, ready_at, job.id LIMIT 1) AS n
      ), oldest AS (
        SELECT DISTINCT ON (tenant_id) tenant_id, id, ready_at, created_at FROM heads ORDER BY tenant_id, ready_at, id
      )
      SELECT c.id, coalesce(ready, 0)::text AS ready, coalesce(delayed, 0)::text AS delayed, coalesce(waiting, 0)::text AS waiting,
        coalesce(blocked, 0)::text AS blocked, coalesce(dead, 0)::text AS dead, coalesce(arrivals, 0)::text AS arrivals,
        coalesce(r.running, 0)::text AS running, (coalesce(claimed, 0) - coalesce(returned, 0) - coalesce(r.running, 0))::text AS attempts,
        c.started_at::text, r.oldest_running_at::text,
        o.id::text AS oldest_id, o.ready_at::text AS oldest_ready_at, o.created_at::text AS oldest_created_at
      FROM counted AS c LEFT JOIN running AS r ON r.id = c.id LEFT JOIN oldest AS o ON o.tenant_id = c.id
      ORDER BY c.id`,
    // job_pkey; by the column's own id, the one in the answer is a text
    front: `SELECT id::text, tenant_id FROM ${s}.job ORDER BY job.id LIMIT $1`,
  } as const;
  const named = Object.entries(texts).map(([name, text]): [string, Statement] => [
    name,
    { name: `headway ${name}`, text },
  ]);
  // Object.fromEntries forgets the keys it was given.
  return Object.fromEntries(named) as Record<keyof typeof texts, Statement>;
}
export type PostgresStatements = ReturnType<typeof postgresStatements>;
