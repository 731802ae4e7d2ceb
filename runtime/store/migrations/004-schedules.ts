/** Schedules: calls that become jobs at the times of a cron expression. */
export default `
SET LOCAL search_path = hypersdk;
CREATE TABLE schedule (
  name text PRIMARY KEY,
  cron_expr text NOT NULL,
  timezone text NOT NULL,
  template json NOT NULL,
  submitter jsonb NOT NULL,
  overlap text NOT NULL CHECK (overlap IN ('skip', 'queue')),
  catch_up boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  next_at timestamptz,
  disabled_because text,
  runs integer NOT NULL DEFAULT 0,
  last_run timestamptz,
  last_job uuid,
  last_result text CHECK (last_result IN ('skipped', 'missed', 'refused')),
  last_reason text
);
CREATE INDEX schedule_next ON schedule (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX schedule_last_job ON schedule (last_job);
CREATE INDEX job_schedule ON job (schedule) WHERE schedule IS NOT NULL;
`;
