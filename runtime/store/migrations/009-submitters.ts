/**
 * A token is known by its fingerprint beside its name: another one that has the name by now, or that another machine
 * has, is another submitter.
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
`;
