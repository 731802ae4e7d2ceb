/** The types of a call, from the endpoints of the generated api.ts. */
import type { Api } from "./api.ts";

export type { Api };

/** A method and a path, such as `GET /libvirt/networks`. */
export type Endpoint = keyof Api;
export type Input<E extends Endpoint> = Parameters<Api[E]>[0];
export type Data<E extends Endpoint> = Awaited<ReturnType<Api[E]>>;

export interface CallOptions {
  /** Alias of the hypervisor. */
  host?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** The input may be left out where nothing in it is required. */
type Rest<I> =
  Record<never, never> extends I
    ? [input?: I, options?: CallOptions]
    : [input: I, options?: CallOptions];

/** Calls an endpoint; resolves to the answer's `data`, throws `HyperError`. */
export type Call = <E extends Endpoint>(endpoint: E, ...rest: Rest<Input<E>>) => Promise<Data<E>>;
