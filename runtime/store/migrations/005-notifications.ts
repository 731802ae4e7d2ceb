/** Receivers of messages, and the messages that each of them is to get, in their order. */
export default `
SET LOCAL search_path = hypersdk;
CREATE TABLE receiver (
  name text PRIMARY KEY,
  settings json NOT NULL,
  enabled boolean NOT NULL,
  types text[] NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  changed_by text NOT NULL,
  tries integer NOT NULL DEFAULT 0,
  retry_at timestamptz,
  last_error text,
  delivered integer NOT NULL DEFAULT 0,
  delivered_at timestamptz,
  dropped integer NOT NULL DEFAULT 0,
  summary_on date NOT NULL DEFAULT current_date
);
CREATE TABLE outbox (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  receiver text NOT NULL REFERENCES receiver ON DELETE CASCADE,
  id uuid NOT NULL,
  type text NOT NULL,
  data json NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_receiver ON outbox (receiver, seq);
`;
