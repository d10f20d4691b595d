// How jobs are claimed and claims end, inside PostgreSQL: one function, one commit. Why so: docs/adr/0010.
import { BY_INDEX, gate, JOB_COLUMNS } from './postgres-function-parts.ts';
import { FAILED_ATTEMPTS_KEPT } from './store.ts';

/**
 * A claimed job as `lease.jobs` keeps it and the engine receives it: one JSON array a job, built once, parsed once.
 * Places: 0 id, 1 tenant, 2 kind, 3 priority, 4 batch, 5 attempts that ended, 6 max attempts, 7 created at, 8 ready at,
 * 9 failed attempts (JSON strings) or null, 10 payload.
 */
export type LeasedJob = [
  number,
  string,
  string,
  number,
  string | null,
  number,
  number,
  number,
  number,
  string[] | null,
  unknown,
];

/** How a claim ends, as `exchange` is told. */
export const ENDS = { done: 0, retry: 1, dead: 2, returned: 3 } as const;

/** Payload bytes of one exchange beyond its first claim. */
const PAYLOAD_BYTES = 16 * 1024 * 1024;
/** A fence is its lease's id times this, plus the claim's place in the lease, from 1. */
export const PLACES = 4096;

export const claimFunctions = (s: string): string => `${pick(s)}${exchange(s)}`;

/** The one that must be fast: it ends claims and makes new ones. */
const exchange = (s: string): string => `
CREATE FUNCTION ${s}.exchange(
  p_owner text, p_call text, p_now bigint,
  -- Ends of claims, those of one lease together, leases ascending. p_ends null: all are done.
  p_leases bigint[], p_places int[], p_ids bigint[], p_ends int[], p_ats bigint[], p_failed text[], p_causes text[],
  p_classes text[],
  -- In turns: p_tenants and how many of each; first come: p_count; nothing: neither.
  p_tenants text[], p_counts int[], p_count int, p_kinds text[], p_limits int[], p_cursor text, p_fold boolean,
  OUT o_refused int[], OUT o_lease bigint, OUT o_jobs text
) LANGUAGE plpgsql ${BY_INDEX} AS $$
DECLARE
  v_at int := 1; v_last int := coalesce(cardinality(p_leases), 0); v_to int; v_ids bigint[]; v_open int; v_jobs text;
  v_back int[]; v_done bigint[]; v_tids tid[]; v_tally text[]; v_counts int[];
BEGIN
  PERFORM ${gate(s, 'shared')};

  WHILE v_at <= v_last LOOP
    v_to := v_at;
    WHILE v_to < v_last AND p_leases[v_to + 1] = p_leases[v_at] LOOP v_to := v_to + 1; END LOOP;
    SELECT l.ids, l.open, CASE WHEN p_ends IS NOT NULL THEN l.jobs END INTO v_ids, v_open, v_jobs
    FROM ${s}.lease AS l WHERE l.id = p_leases[v_at] AND l.owner = p_owner FOR UPDATE;
    IF p_ends IS NULL AND v_ids = p_ids[v_at:v_to] THEN
      DELETE FROM ${s}.lease AS l WHERE l.id = p_leases[v_at];
      v_at := v_to + 1;
      CONTINUE;
    END IF;
    v_back := NULL;
    FOR i IN v_at..v_to LOOP
      IF v_ids[p_places[i]] = p_ids[i] THEN
        v_ids[p_places[i]] := 0;
        v_open := v_open - 1;
        IF p_ends[i] > 0 THEN v_back := v_back || i; END IF;
      ELSE
        o_refused := o_refused || i;
      END IF;
    END LOOP;
    IF v_open = 0 THEN
      DELETE FROM ${s}.lease AS l WHERE l.id = p_leases[v_at];
    ELSIF v_open > 0 THEN
      UPDATE ${s}.lease AS l SET ids = v_ids, open = v_open WHERE l.id = p_leases[v_at];
    END IF;
    IF v_back IS NOT NULL THEN
      WITH back AS MATERIALIZED (
        SELECT (e.j->>0)::bigint AS id, e.j->>1 AS tenant_id, e.j->>2 AS kind, -(e.j->>3)::int AS rank,
          e.j->>4 AS batch_id, (e.j->>5)::int + CASE WHEN b.how = 3 THEN 0 ELSE 1 END AS attempts, (e.j->>6)::int AS max_attempts,
          (e.j->>7)::bigint AS created_at, CASE WHEN b.how = 1 THEN b.at ELSE (e.j->>8)::bigint END AS ready_at,
          CASE WHEN b.failed IS NOT NULL THEN (ARRAY[b.failed] || old.failed)[1:${FAILED_ATTEMPTS_KEPT}] ELSE old.failed END AS failed,
          (e.j->10)::text AS payload, b.how, b.cause, b.class
        FROM unnest(p_places, p_ends, p_ats, p_failed, p_causes, p_classes) WITH ORDINALITY AS b (place, how, at, failed, cause, class, n)
          JOIN json_array_elements(v_jobs::json) WITH ORDINALITY AS e (j, place) ON e.place = b.place,
          LATERAL (SELECT CASE WHEN json_typeof(e.j->9) = 'array' THEN ARRAY(SELECT json_array_elements_text(e.j->9)) END AS failed) AS old
        WHERE b.n = ANY(v_back)
      ), readied AS (
        INSERT INTO ${s}.job (${JOB_COLUMNS})
        SELECT ${JOB_COLUMNS} FROM back WHERE how = 3 OR (how = 1 AND ready_at <= p_now)
      ), parked AS (
        INSERT INTO ${s}.parked (id, tenant_id, kind, state, rank, ready_at, created_at, attempts, max_attempts,
          on_dead_parent, batch_id, failed, died_at, cause, class, payload)
        SELECT id, tenant_id, kind, CASE how WHEN 2 THEN 'dead' ELSE 'delayed' END, rank, ready_at, created_at, attempts,
          max_attempts, 'block', batch_id, failed, CASE how WHEN 2 THEN p_now END, cause, class, payload
        FROM back WHERE how = 2 OR (how = 1 AND ready_at > p_now)
      )
      INSERT INTO ${s}.delta (tenants, returned)
      SELECT array_agg(tenant_id), array_agg(n)
      FROM (SELECT tenant_id, count(*)::int AS n FROM back WHERE how = 3 GROUP BY tenant_id) AS t HAVING count(*) > 0;
    END IF;
    v_at := v_to + 1;
  END LOOP;
  IF v_last > 0 AND EXISTS (SELECT FROM ${s}.dependency) THEN
    SELECT array_agg(id) INTO v_done FROM unnest(p_ids, p_ends) WITH ORDINALITY AS e (id, how, n)
    WHERE coalesce(how, 0) = 0 AND n <> ALL(coalesce(o_refused, '{}'));
    PERFORM ${s}.finish_parents(v_done, p_now);
  END IF;

  IF p_tenants IS NOT NULL OR p_count > 0 THEN
    v_tids := ${s}.pick(p_tenants, p_counts, p_count, p_kinds, p_limits);
  END IF;
  IF v_tids IS NOT NULL THEN
    WITH gone AS (
      DELETE FROM ${s}.job WHERE ctid = ANY(v_tids)
      RETURNING id, tenant_id,
        '[' || id || ',' || to_json(tenant_id) || ',' || to_json(kind) || ',' || -rank || ',' || coalesce(to_json(batch_id)::text, 'null')
        || ',' || attempts || ',' || max_attempts || ',' || created_at || ',' || ready_at
        || ',' || coalesce(to_json(failed)::text, 'null') || ',' || payload || ']' AS job
    ), body AS (SELECT array_agg(id) AS ids, string_agg(job, ',') AS jobs FROM gone),
    tally AS (SELECT array_agg(t.tenant_id) AS tenants, array_agg(t.n) AS counts
      FROM (SELECT tenant_id, count(*)::int AS n FROM gone GROUP BY tenant_id) AS t)
    SELECT body.ids, '[' || body.jobs || ']', tally.tenants, tally.counts INTO v_ids, o_jobs, v_tally, v_counts
    FROM body, tally;
    IF v_ids IS NOT NULL THEN
      o_lease := nextval('${s}.lease_id');
      INSERT INTO ${s}.lease (id, owner, call, claimed_at, open, ids, jobs)
      VALUES (o_lease, p_owner, p_call, p_now, cardinality(v_ids), v_ids, o_jobs);
    END IF;
  END IF;
  IF o_lease IS NOT NULL OR p_cursor IS NOT NULL THEN
    INSERT INTO ${s}.delta (tenants, ready, claimed, started_at, cursor)
    SELECT coalesce(v_tally, '{}'), array_agg(-n), coalesce(v_counts, '{}'), p_now, p_cursor
    FROM unnest(v_counts) AS n;
  END IF;
  IF p_fold THEN PERFORM ${s}.fold(); END IF;
END $$;
`;

/** Chooses the jobs to claim and locks them; what others have locked is passed over. */
const pick = (s: string): string => `
CREATE FUNCTION ${s}.pick(p_tenants text[], p_counts int[], p_count int, p_kinds text[], p_limits int[])
RETURNS tid[] LANGUAGE plpgsql AS $$
DECLARE
  v_held boolean; v_total bigint; v_kinds text[]; v_limits int[]; v_limited boolean; v_tids tid[]; v_bytes bigint;
  v_lane_tenants text[]; v_lane_kinds text[]; v_lane_counts int[]; r record; v_kind int;
BEGIN
  v_held := EXISTS (SELECT FROM ${s}.pause);
  v_total := CASE WHEN p_tenants IS NULL THEN p_count ELSE (SELECT sum(n) FROM unnest(p_counts) AS n) END;
  -- A limit that this exchange cannot reach is none.
  SELECT array_agg(k.kind), array_agg(CASE WHEN k.most < v_total THEN k.most END) INTO v_kinds, v_limits
  FROM unnest(p_kinds, p_limits) AS k (kind, most)
  WHERE coalesce(k.most, 1) > 0 AND NOT (v_held AND EXISTS (
    SELECT FROM ${s}.pause AS h WHERE h.tenant_id IS NULL AND (h.kind IS NULL OR h.kind = k.kind)));
  IF v_kinds IS NULL THEN RETURN NULL; END IF;
  v_limited := EXISTS (SELECT FROM unnest(v_limits) AS most WHERE most IS NOT NULL);

  IF p_tenants IS NULL AND NOT v_limited THEN
    -- job_pkey
    SELECT array_agg(j.tid), sum(j.bytes) INTO v_tids, v_bytes FROM (
      SELECT ctid AS tid, octet_length(payload) AS bytes FROM ${s}.job
      WHERE kind = ANY(v_kinds) AND (NOT v_held OR NOT EXISTS (
        SELECT FROM ${s}.pause AS h WHERE h.tenant_id = job.tenant_id AND (h.kind IS NULL OR h.kind = job.kind)))
      ORDER BY id LIMIT p_count FOR UPDATE SKIP LOCKED) AS j;
  ELSIF p_tenants IS NULL THEN
    -- job_pkey, past kinds that have reached their limit
    FOR r IN SELECT ctid AS tid, kind FROM ${s}.job
      WHERE kind = ANY(v_kinds) AND (NOT v_held OR NOT EXISTS (
        SELECT FROM ${s}.pause AS h WHERE h.tenant_id = job.tenant_id AND (h.kind IS NULL OR h.kind = job.kind)))
      ORDER BY id
    LOOP
      v_kind := array_position(v_kinds, r.kind);
      CONTINUE WHEN v_limits[v_kind] = 0;
      v_limits[v_kind] := v_limits[v_kind] - 1;
      v_tids := v_tids || r.tid;
      EXIT WHEN cardinality(v_tids) >= p_count OR 0 = ALL(v_limits);
    END LOOP;
    SELECT array_agg(j.tid), sum(j.bytes) INTO v_tids, v_bytes FROM (
      SELECT ctid AS tid, octet_length(payload) AS bytes FROM ${s}.job WHERE ctid = ANY(v_tids) FOR UPDATE SKIP LOCKED) AS j;
  ELSE
    IF cardinality(v_kinds) = 1 AND NOT v_limited AND NOT v_held THEN
      v_lane_tenants := p_tenants;
      v_lane_counts := p_counts;
      v_lane_kinds := array_fill(v_kinds[1], ARRAY[cardinality(p_tenants)]);
    ELSE
      SELECT l.tenants, l.kinds, l.counts INTO v_lane_tenants, v_lane_kinds, v_lane_counts
      FROM ${s}.share_out(p_tenants, p_counts, v_kinds, v_limits, v_limited) AS l;
    END IF;
    -- job_lane, one walk a lane
    SELECT array_agg(j.tid), sum(j.bytes) INTO v_tids, v_bytes
    FROM unnest(v_lane_tenants, v_lane_kinds, v_lane_counts) AS lane (tenant_id, kind, most) CROSS JOIN LATERAL (
      SELECT ctid AS tid, octet_length(payload) AS bytes FROM ${s}.job
      WHERE tenant_id = lane.tenant_id AND kind = lane.kind
      ORDER BY rank, ready_at, id LIMIT lane.most FOR UPDATE SKIP LOCKED) AS j;
  END IF;

  IF v_bytes > ${PAYLOAD_BYTES} OR cardinality(v_tids) >= ${PLACES} THEN
    SELECT array_agg(tid) INTO v_tids FROM (
      SELECT tid, row_number() OVER o AS n, sum(bytes) OVER o - first_value(bytes) OVER o AS beyond_first
      FROM (SELECT ctid AS tid, id, tenant_id, octet_length(payload) AS bytes,
          row_number() OVER (PARTITION BY tenant_id ORDER BY rank, ready_at, id) AS turn
        FROM ${s}.job WHERE ctid = ANY(v_tids)) AS picked
      WINDOW o AS (ORDER BY CASE WHEN p_tenants IS NOT NULL THEN turn END, array_position(p_tenants, tenant_id), id)
    ) AS placed WHERE n < ${PLACES} AND beyond_first < ${PAYLOAD_BYTES};
  END IF;
  RETURN v_tids;
END $$;

-- How many of each tenant and kind, where several kinds are open: the best of each tenant's heads in turns, past kinds
-- that have reached their limit. Locks nothing, so that no more is locked than is claimed.
CREATE FUNCTION ${s}.share_out(p_tenants text[], p_counts int[], p_kinds text[], p_limits int[], p_limited boolean,
  OUT tenants text[], OUT kinds text[], OUT counts int[]) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_takes int[]; v_heads int[]; v_next int[]; v_left int[] := p_limits; v_got int[]; v_quota int[];
  v_kinds int := cardinality(p_kinds); v_kind int; v_moved boolean;
BEGIN
  SELECT array_agg(c.take ORDER BY c.take, c.rank, c.ready_at, c.id), array_agg(c.kind_no ORDER BY c.take, c.rank, c.ready_at, c.id)
  INTO v_takes, v_heads FROM (
    SELECT t.take, k.kind_no, head.*, row_number() OVER (PARTITION BY t.take ORDER BY head.rank, head.ready_at, head.id) AS place, t.most
    FROM unnest(p_tenants, p_counts) WITH ORDINALITY AS t (tenant_id, most, take)
    CROSS JOIN unnest(p_kinds, p_limits) WITH ORDINALITY AS k (kind, most, kind_no)
    -- job_lane
    CROSS JOIN LATERAL (SELECT rank, ready_at, id FROM ${s}.job WHERE tenant_id = t.tenant_id AND kind = k.kind
      ORDER BY rank, ready_at, id LIMIT least(t.most, k.most)) AS head
    WHERE NOT EXISTS (SELECT FROM ${s}.pause AS h WHERE h.tenant_id = t.tenant_id AND (h.kind IS NULL OR h.kind = k.kind))
  ) AS c WHERE p_limited OR c.place <= c.most;
  IF v_takes IS NULL THEN RETURN; END IF;

  v_quota := array_fill(0, ARRAY[cardinality(p_tenants) * v_kinds]);
  IF NOT p_limited THEN
    FOR i IN 1..cardinality(v_takes) LOOP
      v_kind := (v_takes[i] - 1) * v_kinds + v_heads[i];
      v_quota[v_kind] := v_quota[v_kind] + 1;
    END LOOP;
  ELSE
    v_got := array_fill(0, ARRAY[cardinality(p_tenants)]);
    v_next := array_fill(NULL::int, ARRAY[cardinality(p_tenants)]);
    FOR i IN REVERSE cardinality(v_takes)..1 LOOP v_next[v_takes[i]] := i; END LOOP;
    LOOP
      v_moved := false;
      FOR t IN 1..cardinality(p_tenants) LOOP
        CONTINUE WHEN v_got[t] >= p_counts[t];
        WHILE v_takes[v_next[t]] = t AND v_left[v_heads[v_next[t]]] = 0 LOOP v_next[t] := v_next[t] + 1; END LOOP;
        CONTINUE WHEN (v_takes[v_next[t]] = t) IS NOT TRUE;
        v_kind := v_heads[v_next[t]];
        v_left[v_kind] := v_left[v_kind] - 1;
        v_quota[(t - 1) * v_kinds + v_kind] := v_quota[(t - 1) * v_kinds + v_kind] + 1;
        v_next[t] := v_next[t] + 1;
        v_got[t] := v_got[t] + 1;
        v_moved := true;
      END LOOP;
      EXIT WHEN NOT v_moved;
    END LOOP;
  END IF;
  SELECT array_agg(p_tenants[((q.n - 1) / v_kinds + 1)::int]), array_agg(p_kinds[((q.n - 1) % v_kinds + 1)::int]), array_agg(q.quota)
  INTO tenants, kinds, counts FROM unnest(v_quota) WITH ORDINALITY AS q (quota, n) WHERE q.quota > 0;
END $$;
`;
