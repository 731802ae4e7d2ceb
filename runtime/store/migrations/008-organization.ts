/**
 * What people say of tags, whose domains libvirt knows; collections and searches, which are read anew with each look;
 * and hypervisors that were added at run time.
 */
export default `
SET LOCAL search_path = hypersdk;
CREATE TABLE tag (
  name text PRIMARY KEY,
  category text,
  color text,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL
);
CREATE TABLE collection (
  name text PRIMARY KEY,
  description text NOT NULL,
  vm_ids text[],
  query text,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL,
  CHECK ((vm_ids IS NULL) <> (query IS NULL))
);
CREATE TABLE search (
  name text PRIMARY KEY,
  query text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL
);
CREATE TABLE host (
  alias text PRIMARY KEY,
  uri text NOT NULL,
  sudo boolean NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by text NOT NULL
);
`;
