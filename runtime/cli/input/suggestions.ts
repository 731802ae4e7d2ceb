/** The mistakes in an input or a name, with suggestions. */
import { closest, distance } from "fastest-levenshtein";
import type * as z from "zod";
import { inputError, issuesOf } from "../../core/errors.ts";
import { type Schema, within } from "../../core/json-schema.ts";
import { fieldsOf, wordsOf } from "./fields.ts";

/** The word of `among` that differs by a slip, or that ends with `/` and the word. */
export function nearest(word: string, among: string[]): string | undefined {
  if (word === "" || among.length === 0) return undefined;
  const found = among.find((one) => one.endsWith(`/${word}`)) ?? closest(word, among);
  const slips = distance(word.toLowerCase(), found.toLowerCase());
  return found.endsWith(`/${word}`) || slips <= Math.max(word.length < 3 ? 1 : 2, word.length / 3)
    ? found
    : undefined;
}

export const meant = (word: string, among: string[]) => {
  const found = nearest(word, among);
  return found ? `; did you mean ${found}?` : "";
};

/** One line for each mistake. */
export function mistakes(error: z.core.$ZodError, input: unknown, schema: Schema): string[] {
  const { issues: told } = inputError(error).details as { issues: { message: string }[] };
  return issuesOf(error).flatMap((issue, i) => {
    const path = issue.path.map(String);
    const at = path.reduce(within, schema);
    if (issue.code === "unrecognized_keys") {
      const known = fieldsOf(at).map(({ name }) => name);
      return issue.keys.map((key) => `${field([...path, key])}: no such field${meant(key, known)}`);
    }
    const given = path.reduce<unknown>(
      (one, key) => (one as Record<string, unknown>)?.[key],
      input,
    );
    const hint = typeof given === "string" ? meant(given, wordsOf(at)) : "";
    return [`${path.length > 0 ? `${field(path)}: ` : ""}${told[i]?.message}${hint}`];
  });
}

/** The field as it is typed: `customize[hostname]`. */
const field = ([key, ...rest]: string[]) => `${key}${rest.map((sub) => `[${sub}]`).join("")}`;
