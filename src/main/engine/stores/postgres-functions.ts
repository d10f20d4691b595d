// What a claim, an enqueue and their like do inside PostgreSQL: functions, so that each is one round trip. A migration
// makes them; a change is a migration of its own.
import { claimFunctions } from './postgres-claim-functions.ts';
import { BY_INDEX, gate, JOB_COLUMNS } from './postgres-function-parts.ts';

export const postgresFunctions = (s: string): string => `
-- Moves counts from the deltas to the tenants; one at a time, whoever comes second leaves it to the first.
CREATE FUNCTION ${s}.fold() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(1214539602, '${s}.job'::regclass::oid::int) THEN RETURN; END IF;
  WITH folded AS (DELETE FROM ${s}.delta RETURNING *),
  moved AS (UPDATE ${s}.circle SET cursor = last.cursor
    FROM (SELECT cursor FROM folded WHERE cursor IS NOT NULL ORDER BY id DESC LIMIT 1) AS last)
  INSERT INTO ${s}.tenant AS t
  SELECT c.tenant_id, coalesce(sum(c.ready), 0), coalesce(sum(c.delayed), 0), coalesce(sum(c.waiting), 0),
    coalesce(sum(c.blocked), 0), coalesce(sum(c.dead), 0), coalesce(sum(c.arrivals), 0),
    coalesce(sum(c.claimed), 0), coalesce(sum(c.returned), 0), max(f.started_at) FILTER (WHERE c.claimed > 0)
  FROM folded AS f, unnest(f.tenants, f.ready, f.delayed, f.waiting, f.blocked, f.dead, f.arrivals, f.claimed, f.returned)
    AS c (tenant_id, ready, delayed, waiting, blocked, dead, arrivals, claimed, returned)
  GROUP BY c.tenant_id ORDER BY c.tenant_id
  ON CONFLICT (id) DO UPDATE SET
    ready = t.ready + excluded.ready, delayed = t.delayed + excluded.delayed, waiting = t.waiting + excluded.waiting,
    blocked = t.blocked + excluded.blocked, dead = t.dead + excluded.dead, arrivals = t.arrivals + excluded.arrivals,
    claimed = t.claimed + excluded.claimed, returned = t.returned + excluded.returned,
    started_at = greatest(t.started_at, excluded.started_at);
END $$;

-- Pending jobs of p_ids that wait for nobody any more: ready from now, or from their own time.
CREATE FUNCTION ${s}.free(p_ids bigint[], p_now bigint) RETURNS void LANGUAGE plpgsql ${BY_INDEX} AS $$
BEGIN
  UPDATE ${s}.parked SET state = 'delayed'
  WHERE id = ANY(p_ids) AND state IN ('waiting', 'blocked') AND ready_at > p_now
    AND NOT EXISTS (SELECT FROM ${s}.dependency WHERE child_id = parked.id);
  WITH freed AS (
    DELETE FROM ${s}.parked
    WHERE id = ANY(p_ids) AND state IN ('waiting', 'blocked')
      AND NOT EXISTS (SELECT FROM ${s}.dependency WHERE child_id = parked.id)
    RETURNING *
  )
  INSERT INTO ${s}.job (${JOB_COLUMNS})
  SELECT ${JOB_COLUMNS.replace('ready_at', 'p_now')} FROM freed;
END $$;

-- Parents that are done. Children are locked first and in order: of two exchanges that end a child's last two parents,
-- the second sees what the first did.
CREATE FUNCTION ${s}.finish_parents(p_ids bigint[], p_now bigint) RETURNS void LANGUAGE plpgsql ${BY_INDEX} AS $$
DECLARE v_children bigint[];
BEGIN
  SELECT array_agg(DISTINCT child_id) INTO v_children FROM ${s}.dependency WHERE parent_id = ANY(p_ids);
  IF v_children IS NULL THEN RETURN; END IF;
  PERFORM FROM ${s}.parked WHERE id = ANY(v_children) ORDER BY id FOR UPDATE;
  DELETE FROM ${s}.dependency WHERE parent_id = ANY(p_ids);
  PERFORM ${s}.free(v_children, p_now);
END $$;

-- Of the family of p_ids (they and all below them that is pending): blocked where something above is dead or lost.
CREATE FUNCTION ${s}.judge_blocked(p_ids bigint[]) RETURNS void LANGUAGE plpgsql ${BY_INDEX} AS $$
DECLARE v_family bigint[];
BEGIN
  WITH RECURSIVE family AS (
    SELECT id FROM ${s}.parked WHERE id = ANY(p_ids) AND state IN ('waiting', 'blocked')
    UNION
    SELECT p.id FROM family AS f JOIN ${s}.dependency AS d ON d.parent_id = f.id
      JOIN ${s}.parked AS p ON p.id = d.child_id AND p.state IN ('waiting', 'blocked')
  )
  SELECT array_agg(id) INTO v_family FROM family;
  IF v_family IS NULL THEN RETURN; END IF;
  UPDATE ${s}.parked SET state = 'waiting' WHERE id = ANY(v_family) AND state = 'blocked';
  WITH RECURSIVE stuck AS (
    SELECT f.id FROM unnest(v_family) AS f (id) WHERE EXISTS (
      SELECT FROM ${s}.dependency AS d LEFT JOIN ${s}.parked AS p ON p.id = d.parent_id
      WHERE d.child_id = f.id AND (d.lost OR p.state IN ('dead', 'blocked')))
    UNION
    SELECT d.child_id FROM stuck JOIN ${s}.dependency AS d ON d.parent_id = stuck.id
  )
  UPDATE ${s}.parked SET state = 'blocked' FROM stuck WHERE parked.id = stuck.id AND parked.state = 'waiting';
END $$;

-- Stores jobs. p_ids null: ids are drawn, the answer names them. p_states: of each its state; null: by its time.
CREATE FUNCTION ${s}.enqueue(
  p_now bigint, p_ids bigint[], p_states text[], p_tenants text[], p_kinds text[], p_ranks int[], p_ready bigint[],
  p_max int[], p_on_dead text[], p_batches text[], p_failed text[], p_causes text[], p_classes text[], p_payloads text
) RETURNS bigint[] LANGUAGE plpgsql ${BY_INDEX} AS $$
DECLARE v_row int; v_ids bigint[] := p_ids;
BEGIN
  PERFORM ${gate(s, 'shared')};
  IF EXISTS (SELECT FROM ${s}.hold WHERE mode = 'drain') THEN
    SELECT n - 1 INTO v_row FROM unnest(p_tenants, p_kinds) WITH ORDINALITY AS r (tenant_id, kind, n)
    WHERE EXISTS (SELECT FROM ${s}.hold AS h WHERE h.mode = 'drain'
      AND (h.tenant_id IS NULL OR h.tenant_id = r.tenant_id) AND (h.kind IS NULL OR h.kind = r.kind))
    ORDER BY n LIMIT 1;
    IF v_row IS NOT NULL THEN RAISE EXCEPTION 'drained' USING ERRCODE = 'HWDRN', DETAIL = v_row; END IF;
  END IF;
  IF v_ids IS NULL THEN
    SELECT array_agg(nextval('${s}.job_id')) INTO v_ids FROM generate_series(1, cardinality(p_tenants));
  END IF;
  WITH fresh AS MATERIALIZED (
    SELECT r.*, coalesce(r.state, CASE WHEN r.ready_at > p_now THEN 'delayed' ELSE 'ready' END) AS place, p.payload::text
    FROM unnest(v_ids, p_states, p_tenants, p_kinds, p_ranks, p_ready, p_max, p_on_dead, p_batches, p_failed, p_causes, p_classes)
      WITH ORDINALITY AS r (id, state, tenant_id, kind, rank, ready_at, max_attempts, on_dead, batch_id, failed, cause, class, n)
      JOIN json_array_elements(p_payloads::json) WITH ORDINALITY AS p (payload, n) USING (n)
  ), ready AS (
    INSERT INTO ${s}.job (${JOB_COLUMNS})
    SELECT id, tenant_id, kind, rank, ready_at, p_now, 0, max_attempts, batch_id, NULL, payload
    FROM fresh WHERE place = 'ready' ORDER BY id
  ), parked AS (
    INSERT INTO ${s}.parked (id, tenant_id, kind, state, rank, ready_at, created_at, attempts, max_attempts,
      on_dead_parent, batch_id, failed, died_at, cause, class, payload)
    SELECT id, tenant_id, kind, place, rank, ready_at, p_now, 0, max_attempts, coalesce(on_dead, 'block'), batch_id,
      CASE WHEN failed IS NOT NULL THEN ARRAY[failed] END, CASE WHEN place = 'dead' THEN p_now END, cause, class, payload
    FROM fresh WHERE place <> 'ready' ORDER BY id
  )
  INSERT INTO ${s}.delta (tenants, arrivals)
  SELECT array_agg(tenant_id), array_agg(n)
  FROM (SELECT tenant_id, count(*)::int AS n FROM fresh GROUP BY tenant_id) AS t;
  RETURN v_ids;
END $$;

-- Delayed jobs whose time has come, so many at a time; answers when the next one's comes.
CREATE FUNCTION ${s}.promote_due(p_now bigint, p_limit int) RETURNS bigint LANGUAGE plpgsql ${BY_INDEX} AS $$
DECLARE v_next bigint;
BEGIN
  SELECT min(ready_at) INTO v_next FROM ${s}.parked WHERE state = 'delayed';
  -- Most calls come to ask when: nothing is written then.
  IF v_next IS NULL OR v_next > p_now THEN RETURN v_next; END IF;
  WITH due AS (
    DELETE FROM ${s}.parked WHERE id = ANY(ARRAY(
      SELECT id FROM ${s}.parked WHERE state = 'delayed' AND ready_at <= p_now
      ORDER BY ready_at LIMIT p_limit FOR UPDATE SKIP LOCKED))
    RETURNING *
  )
  INSERT INTO ${s}.job (${JOB_COLUMNS}) SELECT ${JOB_COLUMNS} FROM due;
  SELECT min(ready_at) INTO v_next FROM ${s}.parked WHERE state = 'delayed';
  RETURN v_next;
END $$;

-- Tenants with work of open kinds, around the circle from the first above p_after: job_lane, one step a tenant.
CREATE FUNCTION ${s}.ready(p_after text, p_limit int, p_kinds text[]) RETURNS text[]
LANGUAGE plpgsql STABLE ${BY_INDEX} AS $$
DECLARE v_kinds text[] := p_kinds; v_tenants text[]; v_held boolean;
BEGIN
  v_held := EXISTS (SELECT FROM ${s}.pause);
  IF v_held THEN
    SELECT array_agg(k) INTO v_kinds FROM unnest(p_kinds) AS k
    WHERE NOT EXISTS (SELECT FROM ${s}.pause WHERE tenant_id IS NULL AND (kind IS NULL OR kind = k));
  END IF;
  IF p_limit < 1 OR coalesce(cardinality(v_kinds), 0) = 0 THEN RETURN '{}'; END IF;
  WITH RECURSIVE first AS (
    (SELECT tenant_id, kind FROM ${s}.job WHERE tenant_id > p_after ORDER BY tenant_id, kind LIMIT 1)
    UNION ALL
    (SELECT tenant_id, kind FROM ${s}.job WHERE p_after IS NULL ORDER BY tenant_id, kind LIMIT 1)
  ), above AS (
    SELECT * FROM first
    UNION ALL
    SELECT n.tenant_id, n.kind FROM above, LATERAL (
      SELECT tenant_id, kind FROM ${s}.job WHERE tenant_id > above.tenant_id ORDER BY tenant_id, kind LIMIT 1) AS n
  ), below AS (
    (SELECT tenant_id, kind FROM ${s}.job WHERE tenant_id <= p_after ORDER BY tenant_id, kind LIMIT 1)
    UNION ALL
    SELECT n.tenant_id, n.kind FROM below, LATERAL (
      SELECT tenant_id, kind FROM ${s}.job WHERE tenant_id > below.tenant_id AND tenant_id <= p_after
      ORDER BY tenant_id, kind LIMIT 1) AS n
  )
  SELECT array_agg(tenant_id) INTO v_tenants FROM (
    SELECT tenant_id FROM (SELECT * FROM above UNION ALL SELECT * FROM below) AS around
    WHERE CASE WHEN NOT v_held AND kind = ANY(v_kinds) THEN true ELSE EXISTS (
      SELECT FROM unnest(v_kinds) AS k WHERE EXISTS (
          SELECT FROM ${s}.job WHERE job.tenant_id = around.tenant_id AND job.kind = k)
        AND NOT EXISTS (SELECT FROM ${s}.pause AS h
          WHERE h.tenant_id = around.tenant_id AND (h.kind IS NULL OR h.kind = k))) END
    LIMIT p_limit) AS seen;
  RETURN coalesce(v_tenants, '{}');
END $$;
${claimFunctions(s)}`;
