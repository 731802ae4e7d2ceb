/** Unknown keys of an input, told beside those that are allowed in their place. */
import type * as z from "zod";
import { HyperError, issuesOf } from "./errors.ts";
import { keysOf, type Schema, within } from "./json-schema.ts";

/** `error` is of `inputError`; another one is returned as it is. */
export function withAllowedKeys(error: HyperError, schema: Schema): HyperError {
  const { cause, details, message } = error;
  const issues = issuesOf(cause as z.core.$ZodError);
  const places = issues.filter(({ code }) => code === "unrecognized_keys").map(({ path }) => path);
  if (places.length === 0) return error;
  const allowed = places.map((path) => {
    const place = path.reduce<Schema>((one, key) => within(one, String(key)), schema);
    const where = path.length > 0 ? `allowed in ${path.map(String).join(".")}` : "allowed";
    return `${where}: ${keysOf(place).join(", ") || "none"}`;
  });
  const text = `${message} (${[...new Set(allowed)].join("; ")})`;
  return new HyperError("invalid_input", text, { cause, details });
}
