/** The placeholders `{{name}}` and `{{index}}` in the texts of `cloud_init`. */
import { HyperError, inputError } from "../../core/errors.ts";
import { hashed } from "./documents.ts";
import { CloudInit } from "./schema.ts";

const PLACEHOLDER = /\{\{ *(name|index) *\}\}/;
const ALL = new RegExp(PLACEHOLDER, "g");

export interface Values {
  name: string;
  /** Undefined for a domain that is not one of several; then `{{index}}` is an error. */
  index?: number | undefined;
}

/** The text of one domain. */
const fillText = (text: string, { name, index }: Values) =>
  text.replace(ALL, (written, key) => (key === "name" ? name : `${index ?? written}`));

/** Fills in the texts of one domain, and checks what has become of them. Throws `invalid_input`. */
export function fillIn(template: CloudInit, values: Values): CloudInit {
  const parsed = CloudInit.safeParse(fillAll(template, values));
  if (parsed.success) return parsed.data;
  throw new HyperError("invalid_input", message(parsed.error, values.name), {
    cause: parsed.error,
  });
}

function message(error: Parameters<typeof inputError>[0], name: string) {
  return `${inputError(error, ["cloud_init"]).message}, for domain ${name}`;
}

function fillAll(value: unknown, values: Values): unknown {
  if (typeof value === "string") return fillText(value, values);
  if (Array.isArray(value)) return value.map((one) => fillAll(one, values));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, fillAll(one, values)]);
  return Object.fromEntries(entries);
}

/** Hashes passwords that are the same for all domains once, since each takes milliseconds. */
export function hashShared(template: CloudInit): CloudInit {
  const hash = (password: string) => (PLACEHOLDER.test(password) ? password : hashed(password));
  const { password, users } = template;
  return {
    ...template,
    ...(password !== undefined && { password: hash(password) }),
    ...(users && {
      users: users.map((user) =>
        user.password === undefined ? user : { ...user, password: hash(user.password) },
      ),
    }),
  };
}
