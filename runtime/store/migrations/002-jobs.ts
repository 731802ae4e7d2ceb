/**
 * Jobs: one row each, what they hold (locks of domains, places for copies), what they have made so far, and what
 * they say. claim_jobs and wake_jobs decide under one lock, so that a job that waits is never forgotten.
 */
export default `
SET LOCAL search_path = hypersdk;
CREATE TABLE job (
  id uuid PRIMARY KEY,
  seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  function text NOT NULL,
  host text NOT NULL,
  input json NOT NULL,
  submitter jsonb NOT NULL,
  domains text[] NOT NULL,
  exclusive_locks text[] NOT NULL,
  shared_locks text[] NOT NULL,
  state text NOT NULL DEFAULT 'queued'
    CHECK (state IN ('queued', 'running', 'cancelling', 'completed', 'failed', 'cancelled')),
  parked boolean NOT NULL DEFAULT false,
  priority integer NOT NULL,
  run_at timestamptz NOT NULL,
  schedule text,
  key text,
  request text,
  attempt integer NOT NULL DEFAULT 0,
  deaths integer NOT NULL DEFAULT 0,
  worker text,
  heartbeat_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  ended_at timestamptz,
  cancel_requested_at timestamptz,
  cancelled_by text,
  progress json,
  answer json
);
CREATE INDEX job_at_work ON job (host) WHERE state IN ('running', 'cancelling');
CREATE INDEX job_parked ON job (host, priority DESC, seq) WHERE parked;
CREATE INDEX job_open ON job (seq) WHERE state IN ('queued', 'running', 'cancelling');
CREATE UNIQUE INDEX job_key ON job ((submitter ->> 'kind'), (submitter ->> 'name'), key) WHERE key IS NOT NULL;
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE job_lock (
  key text NOT NULL,
  job uuid NOT NULL REFERENCES job ON DELETE CASCADE,
  shared boolean NOT NULL,
  PRIMARY KEY (key, job)
);
CREATE INDEX job_lock_job ON job_lock (job);

CREATE TABLE job_copy (
  host text NOT NULL,
  place integer NOT NULL,
  job uuid NOT NULL REFERENCES job ON DELETE CASCADE,
  attempt integer NOT NULL,
  PRIMARY KEY (host, place)
);
CREATE INDEX job_copy_job ON job_copy (job);

CREATE TABLE job_journal (
  job uuid NOT NULL REFERENCES job ON DELETE CASCADE,
  journal uuid NOT NULL,
  host text NOT NULL,
  operation text NOT NULL,
  made bigint GENERATED ALWAYS AS IDENTITY,
  complete boolean NOT NULL DEFAULT false,
  resources jsonb NOT NULL,
  PRIMARY KEY (job, journal)
);

CREATE TABLE job_log (
  job uuid NOT NULL REFERENCES job ON DELETE CASCADE,
  line bigint GENERATED ALWAYS AS IDENTITY,
  time timestamptz NOT NULL,
  attempt integer NOT NULL,
  level text NOT NULL,
  message text NOT NULL,
  fields json,
  PRIMARY KEY (job, line)
);

CREATE TABLE idempotency (
  who text NOT NULL,
  key text NOT NULL,
  request text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  alive_at timestamptz NOT NULL DEFAULT now(),
  answer jsonb,
  PRIMARY KEY (who, key)
);
CREATE INDEX idempotency_created ON idempotency (created_at);
`;
