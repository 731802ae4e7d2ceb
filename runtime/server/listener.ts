/** A listener for calls: an address, with TLS or without, or a Unix socket. */
export type Server = Bun.Server<unknown>;
export type Answer = (request: Request, server: Server) => Response | Promise<Response>;

export interface Listener {
  /** Made when it is asked for, since a start can do without. */
  url(): URL;
  /** Take no more calls; resolves when the last connection has ended. `now` ends them all. */
  stop(now?: boolean): Promise<void>;
}
