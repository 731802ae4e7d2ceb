/**
 * The function contract. A function file has one default export made by `defineFunction`: it can be called
 * from a script, it serves itself (`bun functions/libvirt/networks.ts`), and the router mounts it.
 */
import { join, relative } from "node:path";
import type * as z from "zod";
import { ACCESS, type Access } from "../access/caller.ts";
import { type BytesOut, isBytesOut } from "../core/bytes.ts";
import { HyperError, INTERNAL, inputError } from "../core/errors.ts";
import { type Methods, methodsOf } from "../core/method.ts";
import { guarded, unwatched } from "../core/progress.ts";
import type { SocketEnd } from "../core/socket.ts";
import { type Events, eventShape, mapEvents, onceEach, type Stream } from "../core/stream.ts";
import type { Arrival, Server } from "../http/peer.ts";
import { type Connect, pipeline, type Status } from "../http/pipeline.ts";
import { checkMethod, unknownKeys } from "../http/validation.ts";
import {
  type CallScope,
  type Context,
  type ContextOptions,
  createContext,
} from "../hypervisor/context.ts";

/** What `run` returns. */
type Given<O extends z.ZodType, S> = S extends "sse"
  ? Events<z.input<O>> | Promise<Events<z.input<O>>>
  : S extends { events: infer E extends z.ZodType }
    ? Promise<z.input<O> | Events<z.input<E>>>
    : Promise<S extends "bytes" ? z.input<O> | BytesOut : z.input<O>>;

/** What a call resolves to. */
type Told<O extends z.ZodType, S> = S extends "sse"
  ? Events<z.output<O>>
  : S extends { events: infer E extends z.ZodType }
    ? z.output<O> | Events<z.output<E>>
    : S extends "bytes"
      ? z.output<O> | BytesOut
      : z.output<O>;

/** The declaration in a function file. */
export interface Spec<
  I extends z.ZodObject = z.ZodObject,
  O extends z.ZodType = z.ZodType,
  S extends Stream | undefined = Stream | undefined,
> {
  /**
   * GET reads the query string, POST and PUT a JSON body. Two methods of one path have the same input and `run`:
   * `["GET", "POST"]`. A query's texts become the numbers, booleans and lists that the schema wants.
   */
  method: Methods;
  /**
   * Another path, whose last segment is the field `id` of the input: `/jobs/:id`; or `/`. A function file of that very
   * path wins over it.
   */
  alias?: `/${string}/:id` | "/";
  /** The right that a caller needs: access/caller.ts has the three. */
  access: Access;
  /** Who calls it is not asked: it is a part of the page, or begins its session. It sees nothing of a hypervisor. */
  anybody?: boolean;
  /** One line for people: the endpoint list, the API description, the command line. */
  summary: string;
  /** A strict object: an unknown key is an error that names it. */
  input: I;
  /** The shape of `data` in the answer. */
  output: O;
  /** 201 for a function that creates something, 202 for one that begins it. @default 200 */
  status?: Status;
  /** Headers of a successful answer, such as `Location`. Over HTTP alone. */
  headers?: (data: z.output<O>, input: z.output<I>) => Record<string, string>;
  /** The sentence of a successful answer; null when the answer is `data` itself, without the envelope. */
  message: string | null | ((data: z.output<O>, input: z.output<I>) => string);
  /**
   * Content type of an answer that is no JSON: of a text, such as a page, or of bytes (`Uint8Array`). With `Accept:
   * application/json` bytes are answered as `{ media, base64 }`.
   */
  media?: string;
  /**
   * "stream": the body of a PUT or POST is bytes of any number, which `run` reads from `ctx.body`, and the input is its
   * query. Such a function is no job. With GET beside PUT, `ctx.body` tells the two apart, and a field of one of them has
   * the mark `.meta(onlyOf("PUT"))`.
   */
  body?: "stream";
  /**
   * Events in place of one answer: "sse" for always, `{ when: "follow", events }` where that boolean field of the
   * input is true. `run` returns an async iterable of `{ event?, id?, data }`, such as a generator, which must end
   * with `ctx.signal`. What it throws before it returns that is answered with its status, later as `event: error`.
   * "bytes": `run` returns bytes of any number (`BytesOut`), from which the answer takes the part that `Range` names.
   */
  stream?: S;
  /**
   * "server": it is not about one hypervisor, so it takes no list of them in `?host=`. "fleet": it answers for
   * a list by itself, which is `ctx.asked`; other reads run once for each.
   */
  scope?: "server" | "fleet";
  /** How the function behaves as a job; any function that is not a read can be one. */
  job?: {
    /** Whether it may be done again after a crash, once everything that it had made is removed. @default false */
    repeat?: boolean | ((input: z.output<I>) => boolean);
    /** The fields of the input whose domains it only reads, so that several jobs may read them at once. */
    reads?: string[];
    /** Domains of other hypervisors that it makes or changes, which no other job may touch meanwhile. */
    elsewhere?(input: z.output<I>): { host: string; name: string }[];
  };
  /** Of a GET: what a WebSocket at its path is connected to, until `ctx.signal` is aborted. It throws what has a status. */
  upgrade?(input: z.output<I>, ctx: Context): Promise<SocketEnd>;
  /** Example inputs. */
  examples?: z.input<I>[];
  run(input: z.output<I>, ctx: Context): Given<O, S>;
}

/** The export of a function file: callable, fetchable and described. */
export interface HyperFunction<
  I extends z.ZodObject = z.ZodObject,
  O extends z.ZodType = z.ZodType,
  S extends Stream | undefined = Stream | undefined,
> {
  /** Resolves to the answer's `data`; throws `HyperError`. */
  (input: z.input<I>, options?: ContextOptions): Promise<Told<O, S>>;
  readonly spec: Spec<I, O, S>;
  /** The same for a validated input, as the pipeline and workers call it. */
  readonly run: (
    input: z.output<I>,
    options?: ContextOptions,
    scope?: CallScope,
  ) => Promise<Told<O, S>>;
  /**
   * Bun gives the server that the request came to, the router that and the function's path: then the caller
   * is checked. A request without them is one that this process has made itself.
   */
  readonly fetch: (
    request: Request,
    from?: Server | Arrival,
    /** Fields of the input that the path has given. */
    fields?: Record<string, string>,
  ) => Response | Promise<Response>;
  /** Bun serves this export when its file is run: on loopback, and without cutting off a long call. */
  readonly hostname: string;
  readonly idleTimeout: 0;
}

export function defineFunction<
  I extends z.ZodObject,
  O extends z.ZodType,
  const S extends Stream | undefined = undefined,
>(spec: Spec<I, O, S>): HyperFunction<I, O, S> {
  if (!ACCESS.includes(spec.access)) throw new Error(`access: must be ${ACCESS.join(", ")}`);
  const { stream } = spec;
  const eventsAre = stream === "sse" ? spec.output : typeof stream === "object" && stream.events;
  const event = eventsAre ? onceEach((one) => checked(one, eventsAre)) : undefined;
  const run = async (input: z.output<I>, options?: ContextOptions, scope: CallScope = {}) => {
    const cancellable = spec.access === "read";
    const { progress, end } = guarded(options?.progress ?? unwatched);
    const ctx = createContext({ ...options, progress }, { ...scope, cancellable });
    try {
      const data = await spec.run(input, ctx);
      let told: unknown = data;
      if (event && eventShape(spec, input)) told = mapEvents(data as Events, event);
      else if (!isBytesOut(data)) told = checked(data, spec.output);
      end(true);
      return told as Told<O, S>;
    } finally {
      end(false);
    }
  };
  const call = async (input: z.input<I>, options?: ContextOptions) => {
    const parsed = spec.input.safeParse(input);
    if (!parsed.success) throw unknownKeys(spec, inputError(parsed.error));
    if (spec.body) checkMethod(spec, bodyMethod(spec, options), parsed.data);
    return run(parsed.data, options, { requestedHosts: options?.host });
  };
  const { upgrade } = spec;
  const connect = (input: object, ...rest: [ContextOptions, CallScope]) =>
    upgrade?.(input as z.output<I>, createContext(...rest));
  const app = pipeline(
    spec,
    (input, ...rest) => run(input as z.output<I>, ...rest),
    upgrade && (connect as Connect),
  );
  const fetch: HyperFunction["fetch"] = (request, from, fields) =>
    app.fetch(request, { arrival: arrivalOf(from), fields });
  return Object.assign(call, { spec, run, fetch, hostname: "127.0.0.1", idleTimeout: 0 as const });
}

/** Of a function that takes bytes: a call without any is a GET. */
const bodyMethod = (spec: Spec, options?: ContextOptions) =>
  methodsOf(spec).find((method) => (method === "GET") === (options?.body === undefined)) ?? "GET";

function checked(data: unknown, shape: z.ZodType): unknown {
  const { success, data: parsed, error } = shape.safeParse(data);
  if (success) return parsed;
  const cause = new Error(`the answer is not of the declared shape: ${error.message}`);
  throw new HyperError("internal", INTERNAL, { cause });
}

/** From a server alone, the function is the file that Bun was told to run. Undefined for a request of this process. */
function arrivalOf(from: Server | Arrival | undefined): Arrival | undefined {
  if (!from || "path" in from) return from;
  const file = relative(join(import.meta.dirname, "../../functions"), Bun.main);
  return { server: from, path: `/${file.replace(/^(\.\.\/)+/, "").replace(/\.ts$/, "")}` };
}
