/**
 * The function contract. A function file has one default export made by `defineFunction`: it can be called
 * from a script, it serves itself (`bun functions/libvirt/networks.ts`), and the router mounts it.
 */
import { zValidator } from "@hono/zod-validator";
import type { Context as HonoContext } from "hono";
import { bodyLimit } from "hono/body-limit";
import { Hono } from "hono/tiny";
import type * as z from "zod";
import { ACCESS, type Access } from "../access/caller.ts";
import { HyperError, INTERNAL, inputError } from "../core/errors.ts";
import { settings } from "../core/settings.ts";
import { admission, type Env } from "../http/admission.ts";
import { failure, success } from "../http/envelope.ts";
import { onEach, severalHosts } from "../http/fleet.ts";
import { type Arrival, arrivalOf, type Server } from "../http/peer.ts";
import {
  type CallScope,
  type Context,
  type ContextOptions,
  createContext,
} from "../hypervisor/context.ts";

/** What a function file declares. */
export interface Spec<I extends z.ZodObject = z.ZodObject, O extends z.ZodType = z.ZodType> {
  /** GET reads the query string, POST a JSON body. */
  method: "GET" | "POST";
  /** What a caller must be allowed: to look; to change what runs; to create, destroy or touch files. */
  access: Access;
  /** One line for people: the endpoint list, the API description, the command line. */
  summary: string;
  /** A strict object: an unknown key is an error that names it. */
  input: I;
  /** The shape of `data` in the answer. */
  output: O;
  /** 201 for what creates. @default 200 */
  status?: 200 | 201;
  /** The sentence of a successful answer; null when the answer is `data` itself, without the envelope. */
  message: string | null | ((data: z.output<O>, input: z.output<I>) => string);
  /** Content type of an answer that is a text instead of JSON, such as a page; `output` is a string then. */
  media?: string;
  /**
   * "server": it is not about one hypervisor, so it takes no list of them in `?host=`. "fleet": it answers for
   * a list by itself, which is `ctx.asked`; other reads run once for each.
   */
  scope?: "server" | "fleet";
  /** Example inputs. */
  examples?: z.input<I>[];
  run(input: z.output<I>, ctx: Context): Promise<z.input<O>>;
}

/** What a function file exports: callable, fetchable and described. */
export interface HyperFunction<
  I extends z.ZodObject = z.ZodObject,
  O extends z.ZodType = z.ZodType,
> {
  /** Resolves to the answer's `data`; throws `HyperError`. */
  (input: z.input<I>, options?: ContextOptions): Promise<z.output<O>>;
  readonly spec: Spec<I, O>;
  /**
   * Bun gives the server that the request came to, the router that and the function's path: then the caller
   * is checked. A request without them is one that this process has made itself.
   */
  readonly fetch: (request: Request, from?: Server | Arrival) => Response | Promise<Response>;
  /** Bun serves this export when its file is run: on loopback, and without cutting off a long call. */
  readonly hostname: string;
  readonly idleTimeout: 0;
}

export function defineFunction<I extends z.ZodObject, O extends z.ZodType>(
  spec: Spec<I, O>,
): HyperFunction<I, O> {
  if (!ACCESS.includes(spec.access)) throw new Error(`access: must be ${ACCESS.join(", ")}`);
  const run = async (input: z.output<I>, options?: ContextOptions, scope: CallScope = {}) => {
    const data = await spec.run(
      input,
      createContext(options, { ...scope, cancellable: spec.method === "GET" }),
    );
    const checked = spec.output.safeParse(data);
    if (checked.success) return checked.data;
    const cause = new Error(`the answer is not of the declared shape: ${checked.error.message}`);
    throw new HyperError("internal", INTERNAL, { cause });
  };

  const call = async (input: z.input<I>, options?: ContextOptions) => {
    const parsed = spec.input.safeParse(input);
    if (!parsed.success) throw unknownKeys(spec, inputError(parsed.error));
    return run(parsed.data, options);
  };

  const app = new Hono<Env>();
  app.onError(failure);
  app.use(admission(spec));
  // made for each call: a script that imports a function may set the configuration afterwards
  const limit = (c: HonoContext, next: Next) => {
    const maxSize = settings().max_body;
    const onError = () => {
      throw new HyperError("payload_too_large", `body: at most ${maxSize} bytes`);
    };
    return bodyLimit({ maxSize, onError })(c, next);
  };
  const validate = zValidator(
    spec.method === "GET" ? "query" : "json",
    spec.input,
    (result) => {
      if (!result.success) throw unknownKeys(spec, inputError(result.error));
    },
    // its types know a schema, not one that is still open
    { validationFunction: (schema, value) => schema.safeParse(withoutHost(spec, value)) as never },
  );
  if (spec.method === "POST") app.post("*", checkBody, limit);
  app.on([spec.method], "*", validate, async (c) => {
    const input = c.req.valid((spec.method === "GET" ? "query" : "json") as never) as z.output<I>;
    const host = c.req.query("host") ?? c.req.header("X-Hypervisor");
    const call = c.env?.call;
    call?.check(spec, input, host);
    const { signal } = c.req.raw;
    const ask = (alias: string | undefined, requestedHosts?: string[]) =>
      call
        ? call.work(spec, alias, (options, scope) =>
            run(input, options, { ...scope, requestedHosts: requestedHosts ?? alias }),
          )
        : run(
            input,
            { signal, ...(alias !== undefined && { host: alias }) },
            { requestedHosts: requestedHosts ?? alias },
          );
    const several = spec.scope === "server" ? undefined : severalHosts(host, spec.method);
    const theirs = several && (call ? call.ofThese(several) : several);
    if (theirs && spec.scope !== "fleet") {
      const each = await onEach(theirs, (alias) => ask(alias), call?.log);
      const text = `${each.successful} of ${each.total} hypervisors answered`;
      return c.json(success(text, each));
    }
    const data = await ask(theirs ? theirs[0] : host, theirs);
    const { status = 200, message, media } = spec;
    if (media) return c.body(`${data}`, status, { "Content-Type": media, ...UNFRAMED });
    if (message === null) return c.json(data, status);
    return c.json(
      success(typeof message === "string" ? message : message(data, input), data),
      status,
    );
  });

  app.all("*", refuseMethod(spec));

  const fetch: HyperFunction["fetch"] = (request, from) =>
    app.fetch(request, { arrival: arrivalOf(from) });
  return Object.assign(call, { spec, fetch, hostname: "127.0.0.1", idleTimeout: 0 as const });
}

/** No other site shows a page of this server within its own, and no browser guesses its type. */
const UNFRAMED = { "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff" };

type Next = () => Promise<void>;

function refuseMethod({ method }: Pick<Spec, "method">) {
  return (c: HonoContext): never => {
    c.header("Allow", method === "GET" ? "GET, HEAD" : "POST");
    throw new HyperError(
      "method_not_allowed",
      `${c.req.method} is not allowed here; use ${method}`,
    );
  };
}

/** Hono's validator reads a body of another content type as `{}`. */
async function checkBody(c: HonoContext, next: Next) {
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

/** `?host=` chooses the hypervisor and is no input of the function. */
function withoutHost({ method }: Pick<Spec, "method">, value: unknown): unknown {
  if (method !== "GET") return value;
  const { host, ...input } = value as Record<string, unknown>;
  return input;
}

/** Say beside an unknown key which ones there are. */
function unknownKeys({ input }: Pick<Spec, "input">, error: HyperError): HyperError {
  if (!/unknown keys? /.test(error.message)) return error;
  const allowed = Object.keys(input.shape).join(", ") || "none";
  const { cause, details } = error;
  return new HyperError("invalid_input", `${error.message} (allowed: ${allowed})`, {
    cause,
    details,
  });
}
