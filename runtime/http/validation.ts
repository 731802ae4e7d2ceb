/** Validation of a request against the schema of the function's input. */
import { zValidator } from "@hono/zod-validator";
import type { Context, MiddlewareHandler, Next } from "hono";
import { bodyLimit } from "hono/body-limit";
import type * as z from "zod";
import type { Declaration } from "../access/domain-scope.ts";
import { HyperError, inputError } from "../core/errors.ts";
import { settings } from "../core/settings.ts";

/** The steps before a function's handler; `c.req.valid("query")` or `("json")` is the input then. */
export function validation(spec: Declaration): MiddlewareHandler[] {
  const validate = zValidator(
    spec.method === "GET" ? "query" : "json",
    spec.input,
    (result) => {
      if (!result.success) throw unknownKeys(spec, inputError(result.error));
    },
    // zValidator's types want a schema of known shape
    { validationFunction: (schema, value) => schema.safeParse(withoutHost(spec, value)) as never },
  );
  return spec.method === "GET" ? [validate] : [checkBody, limitBody, validate];
}

/** An unknown key is named beside those that are allowed. */
export function unknownKeys({ input }: { input: z.ZodObject }, error: HyperError): HyperError {
  if (!/unknown keys? /.test(error.message)) return error;
  const allowed = Object.keys(input.shape).join(", ") || "none";
  const { cause, details } = error;
  return new HyperError("invalid_input", `${error.message} (allowed: ${allowed})`, {
    cause,
    details,
  });
}

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

/** The limit is read for each call: a script may set the configuration after it has imported a function. */
function limitBody(c: Context, next: Next) {
  const maxSize = settings().max_body;
  const onError = () => {
    throw new HyperError("payload_too_large", `body: at most ${maxSize} bytes`);
  };
  return bodyLimit({ maxSize, onError })(c, next);
}

/** `?host=` chooses the hypervisor and is no input of the function. */
function withoutHost({ method }: Declaration, value: unknown): unknown {
  if (method !== "GET") return value;
  const { host, ...input } = value as Record<string, unknown>;
  return input;
}
