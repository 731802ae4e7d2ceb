/** Collections and searches in the database. What they hold is read anew with each look. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { query } from "../../store/database.ts";

/** Of a collection or a search. */
export const StoredName = z
  .string()
  .normalize("NFC")
  .regex(
    /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._-]{0,99}$/u,
    'must be up to 100 letters, digits, spaces, ".", "_" and "-", and begin with a letter or digit',
  )
  .describe("its name");

export interface StoredCollection {
  name: string;
  description: string;
  /** `host/name` of each; null where a query tells them. */
  vm_ids: string[] | null;
  query: string | null;
  created_at: string;
  created_by: string;
}

export type StoredSearch = Pick<StoredCollection, "name" | "created_at" | "created_by"> & {
  query: string;
};

type Table = "collection" | "search";

async function list<T>(table: Table): Promise<T[]> {
  const { rows } = await query<{ row: T & { created_at: string } }>(
    `SELECT row_to_json(${table}) AS row FROM ${table} ORDER BY name`,
  );
  return rows.map(({ row }) => ({ ...row, created_at: new Date(row.created_at).toISOString() }));
}

export const listCollections = () => list<StoredCollection>("collection");
export const listSearches = () => list<StoredSearch>("search");

/** Throws `already_exists`. */
export async function createCollection(
  { name, description, vm_ids, query: text }: Omit<StoredCollection, "created_at" | "created_by">,
  who: string,
) {
  const insert = `INSERT INTO collection (name, description, vm_ids, query, created_by)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING name`;
  assertNew("collection", name, await query(insert, [name, description, vm_ids, text, who]));
}

/** Throws `already_exists`. */
export async function createSearch(
  { name, query: text }: Pick<StoredSearch, "name" | "query">,
  who: string,
) {
  const insert = `INSERT INTO search (name, query, created_by) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING name`;
  assertNew("search", name, await query(insert, [name, text, who]));
}

function assertNew(table: Table, name: string, { rows }: { rows: unknown[] }) {
  if (rows.length > 0) return;
  throw new HyperError("already_exists", `name: there is a ${table} ${JSON.stringify(name)}`);
}

/** Throws `not_found`. */
export async function deleteStored(table: Table, name: string) {
  const { rows } = await query(`DELETE FROM ${table} WHERE name = $1 RETURNING name`, [name]);
  if (rows.length === 0)
    throw new HyperError("not_found", `name: no ${table} ${JSON.stringify(name)}`);
}
