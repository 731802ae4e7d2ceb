/**
 * The function contract. A function file has one default export made by `defineFunction`: it can be called
 * from a script, it serves itself (`bun functions/libvirt/networks.ts`), and the router mounts it.
 */
import { join, relative } from "node:path";
import type * as z from "zod";
import { ACCESS, type Access } from "../access/caller.ts";
import { HyperError, INTERNAL, inputError } from "../core/errors.ts";
import type { Arrival, Server } from "../http/peer.ts";
import { pipeline } from "../http/pipeline.ts";
import { unknownKeys } from "../http/validation.ts";
import {
  type CallScope,
  type Context,
  type ContextOptions,
  createContext,
} from "../hypervisor/context.ts";

/** The declaration in a function file. */
export interface Spec<I extends z.ZodObject = z.ZodObject, O extends z.ZodType = z.ZodType> {
  /** GET reads the query string, POST a JSON body. */
  method: "GET" | "POST";
  /** The right that a caller needs: access/caller.ts has the three. */
  access: Access;
  /** One line for people: the endpoint list, the API description, the command line. */
  summary: string;
  /** A strict object: an unknown key is an error that names it. */
  input: I;
  /** The shape of `data` in the answer. */
  output: O;
  /** 201 for a function that creates something. @default 200 */
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

/** The export of a function file: callable, fetchable and described. */
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
    const cancellable = spec.method === "GET";
    const data = await spec.run(input, createContext(options, { ...scope, cancellable }));
    const checked = spec.output.safeParse(data);
    if (checked.success) return checked.data;
    const cause = new Error(`the answer is not of the declared shape: ${checked.error.message}`);
    throw new HyperError("internal", INTERNAL, { cause });
  };
  const call = async (input: z.input<I>, options?: ContextOptions) => {
    const parsed = spec.input.safeParse(input);
    if (!parsed.success) throw unknownKeys(spec, inputError(parsed.error));
    return run(parsed.data, options, { requestedHosts: options?.host });
  };
  const app = pipeline(spec, (input, ...rest) => run(input as z.output<I>, ...rest));
  const fetch: HyperFunction["fetch"] = (request, from) =>
    app.fetch(request, { arrival: arrivalOf(from) });
  return Object.assign(call, { spec, fetch, hostname: "127.0.0.1", idleTimeout: 0 as const });
}

/** From a server alone, the function is the file that Bun was told to run. Undefined for a request of this process. */
function arrivalOf(from: Server | Arrival | undefined): Arrival | undefined {
  if (!from || "path" in from) return from;
  const file = relative(join(import.meta.dirname, "../../functions"), Bun.main);
  return { server: from, path: `/${file.replace(/^(\.\.\/)+/, "").replace(/\.ts$/, "")}` };
}
