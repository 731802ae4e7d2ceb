/** What people have said of tags, in the database. The tags themselves are in libvirt's metadata. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";
import { query } from "../../store/database.ts";
import { mayHaveData } from "../../store/place.ts";

/** A single line, as lists show it. */
export const Category = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters");

export const Color = z
  .string()
  .regex(/^#[0-9a-fA-F]{6}$/, "must be a colour such as #1a9c4b")
  .toLowerCase();

export interface RegisteredTag {
  name: string;
  category: string | null;
  color: string | null;
}

/** Throws `already_exists`. */
export async function registerTag({ name, category, color }: RegisteredTag, who: string) {
  const insert = `INSERT INTO tag (name, category, color, created_by) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING name`;
  const { rows } = await query(insert, [name, category, color, who]);
  if (rows.length === 0)
    throw new HyperError("already_exists", `name: tag ${JSON.stringify(name)} is registered`);
}

/** Throws `not_found`. */
export async function forgetTag(name: string) {
  const { rows } = await query("DELETE FROM tag WHERE name = $1 RETURNING name", [name]);
  if (rows.length === 0)
    throw new HyperError("not_found", `name: tag ${JSON.stringify(name)} is not registered`);
}

/** None where this server has never had a database; a look starts none. Throws `function_unavailable`. */
export async function registeredTags(): Promise<RegisteredTag[]> {
  if (!settings().database.url && !mayHaveData()) return [];
  return (await query<RegisteredTag>("SELECT name, category, color FROM tag")).rows;
}
