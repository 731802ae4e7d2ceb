/** Tells its listeners about requests, commands and connections. Metrics listen, once they are loaded. */

export interface Observer {
  /** A request was answered. `path` is the function's; undefined at a path without one. */
  request(path: string | undefined, status: number, ms: number): void;
  /** Commands were sent in one round trip to a lane's session, or to a process of its own (lane "process"). */
  virsh(trip: RoundTrip): void;
  /** An SSH connection was made, or an attempt failed. */
  connection(host: string, made: boolean): void;
}

export interface RoundTrip {
  host: string;
  lane: string;
  commands: number;
  /** The number of commands without an error. */
  succeeded: number;
  ms: number;
}

export const observer: Partial<Observer> = {};
