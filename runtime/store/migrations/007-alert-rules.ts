/** Alert rules, and what each of them is about now: one row for each object that it waits for or fires about. */
export default `
SET LOCAL search_path = hypersdk;
CREATE TABLE alert_rule (
  name text PRIMARY KEY,
  condition text NOT NULL,
  threshold json NOT NULL,
  for_seconds double precision NOT NULL,
  hysteresis double precision NOT NULL,
  enabled boolean NOT NULL,
  hosts text[] NOT NULL,
  objects text[] NOT NULL,
  actions text[] NOT NULL,
  metadata json NOT NULL,
  silence_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  state text NOT NULL DEFAULT 'ok' CHECK (state IN ('ok', 'pending', 'firing')),
  since timestamptz NOT NULL DEFAULT now(),
  last_value double precision,
  evaluated_at timestamptz,
  error text
);
CREATE TABLE alert (
  rule text NOT NULL REFERENCES alert_rule ON DELETE CASCADE,
  host text NOT NULL,
  object text NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'firing')),
  since timestamptz NOT NULL,
  value double precision,
  detail text NOT NULL,
  told boolean NOT NULL,
  PRIMARY KEY (rule, host, object)
);
`;
