/**
 * What decides about many jobs at once: who begins, who ends, who waits. All do it under one lock, so that a job that
 * waits is never forgotten, and in the same order, so that no two wait for each other.
 */
export default `
SET LOCAL search_path = hypersdk;
CREATE FUNCTION job_locks_are_free(candidate job) RETURNS boolean LANGUAGE sql STABLE
SET search_path FROM CURRENT AS $$
  SELECT NOT EXISTS (
    SELECT FROM job_lock
    WHERE job <> candidate.id
      AND (key = ANY (candidate.exclusive_locks) OR (key = ANY (candidate.shared_locks) AND NOT shared))
  )
$$;

CREATE FUNCTION job_is_free(candidate job, per_host integer) RETURNS boolean LANGUAGE sql STABLE
SET search_path FROM CURRENT AS $$
  SELECT job_locks_are_free(candidate) AND per_host > (
    SELECT count(*) FROM job WHERE host = candidate.host AND state IN ('running', 'cancelling')
  )
$$;

CREATE FUNCTION claim_jobs(ids uuid[], claimant text, per_host integer, alive interval,
  park boolean)
RETURNS TABLE (verdict text, claimed json) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  one job;
  counted text;
  at_work integer;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('hypersdk jobs'));
  -- those that lock nothing, all at once
  SELECT count(*) INTO at_work FROM job
  WHERE state IN ('running', 'cancelling')
    AND host = (SELECT min(host) FROM job WHERE id = ANY (ids) HAVING min(host) = max(host));
  RETURN QUERY WITH begun AS (
    UPDATE job SET state = 'running', attempt = attempt + 1, worker = claimant,
      started_at = coalesce(started_at, clock_timestamp()), heartbeat_at = clock_timestamp()
    WHERE id IN (
      SELECT id FROM job
      WHERE id = ANY (ids) AND state = 'queued' AND NOT parked AND run_at <= clock_timestamp()
        AND exclusive_locks = '{}' AND shared_locks = '{}'
      ORDER BY priority DESC, seq LIMIT greatest(per_host - at_work, 0)
    ) RETURNING *
  )
  SELECT 'started', row_to_json(begun) FROM begun;
  ids := ARRAY (SELECT id FROM job WHERE id = ANY (ids) AND NOT (state = 'running' AND worker = claimant));
  FOR one IN SELECT * FROM job WHERE id = ANY (ids) ORDER BY priority DESC, seq FOR UPDATE LOOP
    verdict := 'ended';
    IF one.host IS DISTINCT FROM counted THEN
      counted := one.host;
      SELECT count(*) INTO at_work FROM job WHERE host = counted AND state IN ('running', 'cancelling');
    END IF;
    IF one.state IN ('running', 'cancelling') THEN
      verdict := 'alive';
      IF one.heartbeat_at < clock_timestamp() - alive THEN
        verdict := 'taken over';
        UPDATE job SET attempt = attempt + 1, deaths = deaths + 1, worker = claimant, heartbeat_at = clock_timestamp()
        WHERE id = one.id RETURNING * INTO one;
      END IF;
    ELSIF one.state = 'queued' AND one.run_at > clock_timestamp() THEN
      verdict := 'alive';
    ELSIF one.state = 'queued' AND at_work < per_host AND (
      one.exclusive_locks || one.shared_locks = '{}' OR job_locks_are_free(one)
    ) THEN
      verdict := 'started';
      at_work := at_work + 1;
      INSERT INTO job_lock (key, job, shared)
      SELECT DISTINCT unnest(one.exclusive_locks), one.id, false
      UNION ALL
      SELECT DISTINCT key, one.id, true FROM unnest(one.shared_locks) key
      WHERE key <> ALL (one.exclusive_locks);
      UPDATE job SET state = 'running', parked = false, attempt = attempt + 1, worker = claimant,
        started_at = coalesce(started_at, clock_timestamp()), heartbeat_at = clock_timestamp()
      WHERE id = one.id RETURNING * INTO one;
    ELSIF one.state = 'queued' AND park THEN
      verdict := 'parked';
      UPDATE job SET parked = true WHERE id = one.id;
    ELSIF one.state = 'queued' THEN
      verdict := 'busy';
    END IF;
    claimed := row_to_json(one);
    RETURN NEXT;
  END LOOP;
END
$$;

CREATE FUNCTION wake_jobs(hosts text[], keys text[], per_host integer) RETURNS SETOF job LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  hosts := ARRAY (
    SELECT DISTINCT host FROM job
    WHERE parked AND (host = ANY (hosts) OR exclusive_locks && keys OR shared_locks && keys)
  );
  IF hosts = '{}' THEN
    RETURN;
  END IF;
  RETURN QUERY UPDATE job SET parked = false WHERE id IN (
    SELECT woken.id FROM unnest(hosts) AS name, LATERAL (
      SELECT candidate.id FROM job AS candidate
      WHERE parked AND candidate.host = name AND job_is_free(candidate, per_host)
      ORDER BY priority DESC, seq LIMIT per_host
    ) AS woken
  ) RETURNING *;
END
$$;

CREATE FUNCTION end_jobs(ids uuid[], endings json, ender text) RETURNS TABLE (id uuid, host text) LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('hypersdk jobs'));
  RETURN QUERY UPDATE job SET state = one.state, answer = one.answer, input = one.input,
    progress = coalesce(one.progress, job.progress), ended_at = clock_timestamp()
  FROM json_to_recordset(endings)
    AS one (id uuid, attempt integer, state text, answer json, progress json, input json)
  WHERE job.id = ANY (ids) AND job.id = one.id AND job.attempt = one.attempt AND job.worker = ender
  RETURNING job.id, job.host;
END
$$;

CREATE FUNCTION release_jobs(ids uuid[], hosts text[], per_host integer) RETURNS SETOF job LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE keys text[];
BEGIN
  WITH gone AS (DELETE FROM job_lock WHERE job = ANY (ids) RETURNING key)
  SELECT coalesce(array_agg(key), '{}') INTO keys FROM gone;
  DELETE FROM job_copy WHERE job = ANY (ids);
  DELETE FROM job_journal WHERE job = ANY (ids);
  RETURN QUERY SELECT * FROM wake_jobs(hosts, keys, per_host);
END
$$;

CREATE FUNCTION beat_jobs(ids uuid[], beats json, beater text) RETURNS TABLE (id uuid, state text) LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('hypersdk jobs'));
  RETURN QUERY UPDATE job SET heartbeat_at = clock_timestamp(), progress = coalesce(one.progress, job.progress)
  FROM json_to_recordset(beats) AS one (id uuid, attempt integer, progress json)
  WHERE job.id = ANY (ids) AND job.id = one.id AND job.attempt = one.attempt AND job.worker = beater
    AND job.state IN ('running', 'cancelling')
  RETURNING job.id, job.state;
END
$$;
`;
