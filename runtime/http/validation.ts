/** Validation of a request against the schema of the function's input. */
import { zValidator } from "@hono/zod-validator";
import type { Context, MiddlewareHandler, Next } from "hono";
import { bodyLimit } from "hono/body-limit";
import type * as z from "zod";
import type { Declaration } from "../access/domain-scope.ts";
import { HyperError, inputError } from "../core/errors.ts";
import { fromText, schemaOf, wantsList, within } from "../core/json-schema.ts";
import { memoizePerObject } from "../core/memoize.ts";
import { isOf, type Method } from "../core/method.ts";
import { settings } from "../core/settings.ts";
import { withAllowedKeys } from "../core/unknown-keys.ts";
import { takeBytes } from "./bytes-in.ts";
import type { Env } from "./call.ts";

const inputSchema = memoizePerObject(schemaOf);

/** The steps before a function's handler of one method, which leave the input in the call. */
export function validation(spec: Declaration, method: Method): MiddlewareHandler<Env>[] {
  const bytes = method !== "GET" && spec.body === "stream";
  const query = method === "GET" || bytes;
  const prepare = (value: unknown, { fields }: Env["Bindings"]) => {
    const given = query ? withoutHost(value) : value;
    const all = fields ? withFields(given, fields) : given;
    return query ? typed(all, spec.input) : all;
  };
  const resumes = "last_event_id" in spec.input.shape;
  const validate: MiddlewareHandler<Env> = (c, next) =>
    zValidator(
      query ? "query" : "json",
      spec.input,
      (result) => {
        if (!result.success) throw unknownKeys(spec, inputError(result.error));
        checkMethod(spec, method, result.data);
        c.env.call.input = result.data;
      },
      // zValidator's types want a schema of known shape
      {
        validationFunction: (schema, value) =>
          schema.safeParse(
            prepare(resumes ? { ...(value as object), ...lastEvent(c) } : value, c.env),
          ) as never,
      },
    )(c as never, next);
  if (query) return bytes ? [takeBytes, validate] : [validate];
  return [checkBody, limitBody(spec.anybody ? MAX_OF_ANYBODY : Number.POSITIVE_INFINITY), validate];
}

/** A browser sends it when it connects again to the same address, whatever that says. */
function lastEvent({ req }: Context) {
  const id = req.header("Last-Event-ID");
  return id === undefined ? {} : { last_event_id: id };
}

/** Throws for a field that the other method of the path has alone. */
export function checkMethod({ input }: { input: z.ZodObject }, method: Method, given: object) {
  const schema = inputSchema(input);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || isOf(within(schema, key), method)) continue;
    throw new HyperError("invalid_input", `${key}: is no field of a ${method}`);
  }
}

/** An unknown key is named beside those that are allowed in its place. */
export const unknownKeys = ({ input }: { input: z.ZodObject }, error: HyperError) =>
  withAllowedKeys(error, inputSchema(input));

/** Hono's validator would read a body of another content type as `{}`. */
async function checkBody(c: Context, next: Next) {
  const type = c.req.header("Content-Type") ?? "none";
  if (!/^application\/([a-z-.]+\+)?json\s*(;|$)/i.test(type)) {
    throw new HyperError(
      "unsupported_media_type",
      `Content-Type must be application/json, not ${type}`,
    );
  }
  const extra = Object.keys(c.req.query()).filter((key) => key !== "host");
  if (extra.length > 0) {
    const keys = extra.map((key) => JSON.stringify(key)).join(", ");
    throw new HyperError(
      "invalid_input",
      `query: unknown key ${keys}; parameters belong in the JSON body`,
    );
  }
  return next();
}

/** Bytes of the body of a caller who is not known: a token. */
const MAX_OF_ANYBODY = 4096;

/** The limit is read for each call: a script may set the configuration after it has imported a function. */
function limitBody(most: number) {
  return (c: Context, next: Next) => {
    const maxSize = Math.min(most, settings().max_body);
    const onError = () => {
      throw new HyperError("payload_too_large", `body: at most ${maxSize} bytes`);
    };
    return bodyLimit({ maxSize, onError })(c, next);
  };
}

/** `?host=` chooses the hypervisor and is no input of the function. */
function withoutHost(value: unknown): unknown {
  const { host, ...input } = value as Record<string, unknown>;
  return input;
}

/** The texts of a query as the schema wants them: numbers, booleans, and lists, whose key may be repeated. */
function typed(query: unknown, input: z.ZodObject): unknown {
  const entries = Object.entries(query as Record<string, string | string[]>);
  if (entries.length === 0) return query;
  const schema = inputSchema(input);
  return Object.fromEntries(
    entries.map(([key, value]) => {
      const field = within(schema, key);
      if (typeof value === "string" && !wantsList(field)) return [key, fromText(value, field)];
      return [key, [value].flat().map((one) => fromText(one, within(field, "")))];
    }),
  );
}

/** The path of an alias gives a field, which must not be given again. */
function withFields(value: unknown, fields: Record<string, string>): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const twice = Object.keys(fields).find((key) => Object.hasOwn(value, key));
  if (twice) throw new HyperError("invalid_input", `${twice}: is given by the path already`);
  return { ...value, ...fields };
}
