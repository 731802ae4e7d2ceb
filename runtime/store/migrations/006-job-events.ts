/** Who follows jobs hears of each change of a state, in whatever process it was made. A payload has at most 8000 bytes. */
export default `
SET LOCAL search_path = hypersdk;
CREATE FUNCTION tell_job() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  payload text;
BEGIN
  payload := json_build_object('id', NEW.id, 'state', NEW.state, 'function', NEW.function, 'host', NEW.host,
    'attempt', NEW.attempt, 'again', TG_OP = 'UPDATE' AND OLD.state = NEW.state, 'submitter', json_build_object('kind', NEW.submitter ->> 'kind', 'name', NEW.submitter ->> 'name'),
    'domains', NEW.domains, 'time', clock_timestamp(), 'code', NEW.answer -> 'body' ->> 'code')::text;
  IF octet_length(payload) > 7500 THEN
    payload := (payload::jsonb || '{"domains": null}')::text;
  END IF;
  PERFORM pg_notify('hypersdk_job_events', payload);
  RETURN NULL;
END
$$;
CREATE TRIGGER job_told_of_its_begin AFTER INSERT ON job FOR EACH ROW EXECUTE FUNCTION tell_job();
CREATE TRIGGER job_told_of_its_state AFTER UPDATE OF state, attempt ON job FOR EACH ROW
  WHEN (OLD.state <> NEW.state OR (OLD.attempt <> NEW.attempt AND NEW.state = 'running'))
  EXECUTE FUNCTION tell_job();
`;
