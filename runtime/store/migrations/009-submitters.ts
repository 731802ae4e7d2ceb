/**
 * A token is known by its fingerprint beside its name: another one that has the name by now, or that another machine
 * has, is another submitter. A job ends once: where the answer to its end was lost, it is not told of a second time.
 */
export default `
SET LOCAL search_path = hypersdk;
DROP INDEX job_key;
CREATE UNIQUE INDEX job_key ON job (
  (submitter ->> 'kind'), (submitter ->> 'name'), (coalesce(submitter ->> 'fingerprint', '')), key
) WHERE key IS NOT NULL;
CREATE OR REPLACE FUNCTION tell_job() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  payload text;
BEGIN
  payload := json_build_object('id', NEW.id, 'state', NEW.state, 'function', NEW.function, 'host', NEW.host,
    'attempt', NEW.attempt, 'again', TG_OP = 'UPDATE' AND OLD.state = NEW.state,
    'submitter', jsonb_strip_nulls(jsonb_build_object('kind', NEW.submitter -> 'kind', 'name', NEW.submitter -> 'name',
      'fingerprint', NEW.submitter -> 'fingerprint')),
    'domains', NEW.domains, 'time', clock_timestamp(), 'code', NEW.answer -> 'body' ->> 'code')::text;
  IF octet_length(payload) > 7500 THEN
    payload := (payload::jsonb || '{"domains": null}')::text;
  END IF;
  PERFORM pg_notify('hypersdk_job_events', payload);
  RETURN NULL;
END
$$;
CREATE OR REPLACE FUNCTION end_jobs(ids uuid[], endings json, ender text) RETURNS TABLE (id uuid, host text)
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('hypersdk jobs'));
  RETURN QUERY UPDATE job SET state = one.state, answer = one.answer, input = one.input,
    progress = coalesce(one.progress, job.progress), ended_at = clock_timestamp()
  FROM json_to_recordset(endings)
    AS one (id uuid, attempt integer, state text, answer json, progress json, input json)
  WHERE job.id = ANY (ids) AND job.id = one.id AND job.attempt = one.attempt AND job.worker = ender
    AND job.ended_at IS NULL
  RETURNING job.id, job.host;
END
$$;
`;
