/** The types of a call, from the endpoints of the generated api.ts. */
import type { BytesIn, BytesOut } from "../core/bytes.ts";
import type { Progress } from "../core/progress.ts";
import type { Api } from "./api.ts";

export type { Api, BytesIn, BytesOut };

/** A method and a path, such as `GET /libvirt/networks`. */
export type Endpoint = keyof Api;
export type Input<E extends Endpoint> = Parameters<Api[E]>[0];
type Told<E extends Endpoint> = Awaited<ReturnType<Api[E]>>;
/** Of a path that gives bytes and takes some, GET alone gives them. */
export type Data<E extends Endpoint> =
  BytesOut extends Told<E>
    ? E extends `GET ${string}`
      ? BytesOut
      : Exclude<Told<E>, BytesOut>
    : Told<E>;

export interface CallOptions {
  /** Alias of the hypervisor. */
  host?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Told how far the call is, where it runs in this process. */
  progress?: Progress | undefined;
  /** For a day, the same call with the same key gets the first one's answer, and is carried out once. */
  idempotencyKey?: string | undefined;
  /** The bytes that a PUT brings: a `Blob`, Bun's file, or `{ stream: () => … }`. */
  body?: BytesIn | undefined;
  /** False: the call becomes a job, and resolves to its handle. @default true */
  wait?: true | undefined;
}

/** Of a call that becomes a job. The signal ends the submission. */
export interface JobOptions extends Omit<CallOptions, "wait" | "progress" | "body"> {
  wait: false;
}

/** A job as `GET /jobs/<id>` answers it. */
export type JobView = Data<"GET /job">;
export type JobState = JobView["state"];

export interface WaitOptions {
  /** Told how far the job is, as its worker has told last: about once a second. */
  onProgress?: ((progress: JobView["progress"]) => void) | undefined;
  /** Told of each look at the job, also of one that has not begun. */
  onLook?: ((job: JobView) => void | Promise<void>) | undefined;
  /** Ends the waiting; the job goes on. */
  signal?: AbortSignal | undefined;
}

/** A job that a call with `wait: false` has submitted. */
export interface JobHandle<D = unknown> {
  readonly id: string;
  state(): Promise<JobState>;
  /** Resolves to what the call itself would have, and throws what it would have thrown. */
  wait(options?: WaitOptions): Promise<D>;
  /** Asks for its end: `wait` throws `cancelled` once nothing is left of it. Throws `not_active` if it has ended. */
  cancel(): Promise<void>;
}

type ListOrOne<T> = { [K in keyof T]: T[K] extends (infer I)[] | undefined ? T[K] | I : T[K] };

/** The filters of `GET /events`; one word in place of a list of one. */
export type EventsInput = ListOrOne<NonNullable<Input<"GET /events">>>;
/** What happens, as `GET /events` tells it. */
export type FleetEvent = Data<"GET /events"> extends AsyncIterable<{ data: infer E }> ? E : never;

/** The input may be left out where nothing in it is required. */
type Rest<I> =
  Record<never, never> extends I
    ? [input?: I, options?: CallOptions]
    : [input: I, options?: CallOptions];

/** Endpoints that may change something; a read is no job. */
type Change = Exclude<Endpoint, `GET ${string}`>;

export interface Call {
  /** Has the call carried out in the background; resolves once the job is stored. */
  <E extends Change>(
    endpoint: E,
    input: Input<E>,
    options: JobOptions,
  ): Promise<JobHandle<Data<E>>>;
  /** Calls an endpoint; resolves to the answer's `data`, throws `HyperError`. */
  <E extends Endpoint>(endpoint: E, ...rest: Rest<Input<E>>): Promise<Data<E>>;
  /**
   * What happens from now on: `for await (const event of kvm.events({ kind: "domain" }))`. It goes on after a lost
   * connection; where something may have been missed, an event of kind `stream` names what to read again.
   */
  events(
    input?: EventsInput,
    options?: Pick<CallOptions, "host" | "signal">,
  ): AsyncGenerator<FleetEvent, void, undefined>;
}
