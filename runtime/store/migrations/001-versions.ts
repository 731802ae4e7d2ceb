/** The table that tells which migrations a database has. */
export default `
  CREATE TABLE hypersdk.migrations (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
  );
`;
